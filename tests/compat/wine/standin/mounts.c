/* Volume mount points: remembered, not made. */

#include "standin.h"

#include <stdlib.h>
#include <string.h>

#define MOUNTS L"mounts"
#define VOLUME_NAME_LENGTH 49 /* \\?\Volume{GUID}\ without the NUL */

static void take_volume(struct call *call, const wchar_t *volume)
{
    bool bad = bad_text(volume);
    put_text(call, "volume", bad ? NULL : volume);
    if (bad)
        violation(call, "volume: no string that ends in a NUL", NULL);
    else if (wcsncmp(volume, L"\\\\?\\Volume{", 11) != 0 || !ends_with(volume, L"}\\") ||
             wcslen(volume) != VOLUME_NAME_LENGTH)
        violation(call, "volume: not \\\\?\\Volume{GUID}\\", volume);
}

static HRESULT set_mount(const wchar_t *point, const wchar_t *volume)
{
    wchar_t *folder = long_path(point);
    HRESULT hr = S_OK;
    if (!is_folder(folder))
        hr = win32(exists(folder) ? ERROR_DIRECTORY : ERROR_FILE_NOT_FOUND);
    else if (state_has(MOUNTS, point) || !is_empty(folder))
        hr = win32(ERROR_DIR_NOT_EMPTY);
    free(folder);
    return hr == S_OK ? state_set(MOUNTS, point, volume) : hr;
}

BOOL WINAPI standin_SetVolumeMountPointW(const wchar_t *point, const wchar_t *volume)
{
    struct call call;
    begin_kernel32_call(&call, "SetVolumeMountPointW");
    take_folder_with_backslash(&call, "path", point);
    take_volume(&call, volume);
    if (go_on(&call))
        call.hr = set_mount(point, volume);
    return end_kernel32_call(&call);
}

BOOL WINAPI standin_DeleteVolumeMountPointW(const wchar_t *point)
{
    struct call call;
    begin_kernel32_call(&call, "DeleteVolumeMountPointW");
    take_folder_with_backslash(&call, "path", point);
    if (go_on(&call))
        call.hr = state_has(MOUNTS, point) ? state_clear(MOUNTS, point) : win32(ERROR_NOT_A_REPARSE_POINT);
    return end_kernel32_call(&call);
}

BOOL WINAPI standin_GetVolumeNameForVolumeMountPointW(const wchar_t *point, wchar_t *name, DWORD size)
{
    struct call call;
    begin_kernel32_call(&call, "GetVolumeNameForVolumeMountPointW");
    take_folder_with_backslash(&call, "path", point);
    put_number(&call, "length", size);
    if (IsBadWritePtr(name, size * sizeof *name))
        violation(&call, "the buffer is not so long", NULL);
    if (go_on(&call)) {
        DWORD length = 0;
        char *content = state_content(MOUNTS, point, &length);
        if (content == NULL)
            call.hr = win32(ERROR_NOT_A_REPARSE_POINT);
        else if (size < length + 1)
            call.hr = win32(ERROR_FILENAME_EXCED_RANGE);
        else
            MultiByteToWideChar(CP_UTF8, 0, content, -1, name, (int)size);
        free(content);
    }
    return end_kernel32_call(&call);
}
