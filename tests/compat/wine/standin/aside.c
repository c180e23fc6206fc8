/* What wine's file systems cannot hold of a file, kept aside: STATE\aside\SERIAL-INDEX.
 *
 * The volume's serial number and the file's index (in wine, the inode) name it, so it is found by all names of a file
 * and after it has been moved. A new file may get the index of one that was removed: what this DLL removes takes its
 * aside along, for the rest each test has a state folder of its own.
 *
 * Content: 4 bytes of attributes (0xffffffff: not known), then backup streams as they came, except that the bytes of
 * DATA, and of the sparse blocks that follow it, are in the file itself: of such a block the header and offset are kept
 * alone, of a DATA stream that is not sparse nothing.
 */

#include "standin.h"

#include <stdlib.h>

static HRESULT aside_path(HANDLE file, wchar_t **path)
{
    BY_HANDLE_FILE_INFORMATION about;
    if (!GetFileInformationByHandle(file, &about))
        return last_error();
    wchar_t *folder;
    HRESULT hr = state_folder(L"aside", &folder);
    if (hr != S_OK)
        return hr;
    wchar_t name[32];
    uint64_t index = (uint64_t)about.nFileIndexHigh << 32 | about.nFileIndexLow;
    swprintf(name, 32, L"%08lx-%016llx", about.dwVolumeSerialNumber, (unsigned long long)index);
    *path = join(folder, name);
    free(folder);
    return S_OK;
}

/* The aside of `file`, to read; or a new one, to write, in the place of what was there. */
HRESULT open_aside(HANDLE file, bool replace, HANDLE *aside)
{
    wchar_t *path;
    *aside = NULL;
    HRESULT hr = aside_path(file, &path);
    if (hr != S_OK)
        return hr;
    DWORD access = replace ? GENERIC_READ | GENERIC_WRITE : GENERIC_READ;
    *aside = CreateFileW(path, access, SHARE_ALL, NULL, replace ? CREATE_ALWAYS : OPEN_EXISTING, 0, NULL);
    if (*aside == INVALID_HANDLE_VALUE) {
        *aside = NULL;
        hr = GetLastError() == ERROR_FILE_NOT_FOUND && !replace ? S_OK : last_error();
    } else if (replace) {
        uint32_t attributes = NOT_KNOWN;
        hr = write_at(*aside, 0, &attributes, sizeof attributes);
    }
    free(path);
    return hr;
}

HRESULT set_aside_attributes(HANDLE file, uint32_t attributes)
{
    wchar_t *path;
    HRESULT hr = aside_path(file, &path);
    if (hr != S_OK)
        return hr;
    HANDLE aside = CreateFileW(path, GENERIC_WRITE, SHARE_ALL, NULL, OPEN_EXISTING, 0, NULL);
    hr = aside == INVALID_HANDLE_VALUE ? last_error() : write_at(aside, 0, &attributes, sizeof attributes);
    if (aside != INVALID_HANDLE_VALUE)
        CloseHandle(aside);
    free(path);
    return hr;
}

/* The file at `path` is about to be removed, or is new and may have the index of one that was. Another name keeps what
 * is known of it. */
void forget_aside(const wchar_t *path)
{
    HANDLE file = CreateFileW(path, FILE_READ_ATTRIBUTES, SHARE_ALL, NULL, OPEN_EXISTING,
                              FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return;
    BY_HANDLE_FILE_INFORMATION about;
    wchar_t *aside;
    if (GetFileInformationByHandle(file, &about)) {
        bool last = about.nNumberOfLinks <= 1 || (about.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY);
        if (last && aside_path(file, &aside) == S_OK) {
            DeleteFileW(aside);
            free(aside);
        }
    }
    CloseHandle(file);
}
