/* Files and their names. All work is done on paths with \\?\, whose length is not bounded by MAX_PATH. */

#include "standin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *allocate(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (memory == NULL) {
        fprintf(stderr, "the stand-in has no memory left\n");
        abort();
    }
    return memory;
}

/* The value of a variable, or NULL if there is none or it is empty. */
wchar_t *environment(const wchar_t *name)
{
    DWORD size = GetEnvironmentVariableW(name, NULL, 0);
    if (size <= 1)
        return NULL;
    wchar_t *value = allocate(size * sizeof *value);
    if (GetEnvironmentVariableW(name, value, size) == 0) {
        free(value);
        return NULL;
    }
    return value;
}

char *utf8(const wchar_t *text)
{
    int size = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    char *bytes = allocate((size_t)size);
    WideCharToMultiByte(CP_UTF8, 0, text, -1, bytes, size, NULL, NULL);
    return bytes;
}

wchar_t *with_suffix(const wchar_t *path, const wchar_t *suffix)
{
    wchar_t *whole = allocate((wcslen(path) + wcslen(suffix) + 1) * sizeof *whole);
    wcscpy(whole, path);
    wcscat(whole, suffix);
    return whole;
}

wchar_t *copy_text(const wchar_t *text)
{
    return with_suffix(text, L"");
}

wchar_t *long_path(const wchar_t *path)
{
    return wcsncmp(path, L"\\\\?\\", 4) == 0 ? copy_text(path) : with_suffix(L"\\\\?\\", path);
}

wchar_t *join(const wchar_t *folder, const wchar_t *name)
{
    wchar_t *start = with_suffix(folder, ends_with(folder, L"\\") ? L"" : L"\\");
    wchar_t *whole = with_suffix(start, name);
    free(start);
    return whole;
}

const wchar_t *last_component(const wchar_t *path)
{
    const wchar_t *last = wcsrchr(path, L'\\');
    return last == NULL ? path : last + 1;
}

bool same_name(const wchar_t *one, const wchar_t *other)
{
    return CompareStringOrdinal(one, -1, other, -1, TRUE) == CSTR_EQUAL;
}

bool ends_with(const wchar_t *text, const wchar_t *suffix)
{
    size_t length = wcslen(text);
    size_t end = wcslen(suffix);
    return length >= end && same_name(text + length - end, suffix);
}

HRESULT win32(DWORD error)
{
    return HRESULT_FROM_WIN32(error);
}

HRESULT last_error(void)
{
    return win32(GetLastError());
}

bool exists(const wchar_t *path)
{
    return GetFileAttributesW(path) != INVALID_FILE_ATTRIBUTES;
}

bool is_folder(const wchar_t *path)
{
    DWORD attributes = GetFileAttributesW(path);
    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY);
}

HRESULT make_folder(const wchar_t *path)
{
    if (CreateDirectoryW(path, NULL) || GetLastError() == ERROR_ALREADY_EXISTS)
        return S_OK;
    return last_error();
}

HRESULT copy_file(const wchar_t *from, const wchar_t *to)
{
    return CopyFileW(from, to, FALSE) ? S_OK : last_error();
}

HRESULT write_file(const wchar_t *path, const void *data, DWORD size)
{
    HANDLE file = CreateFileW(path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return last_error();
    HRESULT hr = write_at(file, 0, data, size);
    CloseHandle(file);
    return hr;
}

/* The content of a small file, with a NUL behind it; or NULL, with the last error set. */
char *read_file(const wchar_t *path, DWORD *size)
{
    HANDLE file = CreateFileW(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return NULL;
    LARGE_INTEGER length;
    char *content = NULL;
    if (GetFileSizeEx(file, &length)) {
        *size = (DWORD)length.QuadPart;
        content = allocate(*size + 1);
        HRESULT hr = read_at(file, 0, content, *size);
        if (hr != S_OK) {
            free(content);
            content = NULL;
            SetLastError((DWORD)hr & 0xffff);
        }
    }
    DWORD error = GetLastError();
    CloseHandle(file);
    SetLastError(error);
    return content;
}

HRESULT write_at(HANDLE file, uint64_t offset, const void *data, DWORD size)
{
    OVERLAPPED at = {.Offset = (DWORD)offset, .OffsetHigh = (DWORD)(offset >> 32)};
    DWORD written = 0;
    if (size == 0)
        return S_OK;
    if (!WriteFile(file, data, size, &written, &at))
        return last_error();
    return written == size ? S_OK : win32(ERROR_WRITE_FAULT);
}

HRESULT read_at(HANDLE file, uint64_t offset, void *data, DWORD size)
{
    OVERLAPPED at = {.Offset = (DWORD)offset, .OffsetHigh = (DWORD)(offset >> 32)};
    DWORD got = 0;
    if (size == 0)
        return S_OK;
    if (!ReadFile(file, data, size, &got, &at))
        return last_error();
    return got == size ? S_OK : win32(ERROR_HANDLE_EOF);
}

HRESULT set_end(HANDLE file, uint64_t size)
{
    LARGE_INTEGER end = {.QuadPart = (LONGLONG)size};
    return SetFilePointerEx(file, end, NULL, FILE_BEGIN) && SetEndOfFile(file) ? S_OK : last_error();
}

/* Times are taken before the content is read: that changes the time of access. */
HRESULT get_times(HANDLE file, FILE_BASIC_INFO *times)
{
    return GetFileInformationByHandleEx(file, FileBasicInfo, times, sizeof *times) ? S_OK : last_error();
}

/* attributes: 0 leaves them as they are. */
HRESULT set_times(HANDLE file, const FILE_BASIC_INFO *times, uint32_t attributes)
{
    FILE_BASIC_INFO about = *times;
    about.FileAttributes = attributes;
    return SetFileInformationByHandle(file, FileBasicInfo, &about, sizeof about) ? S_OK : last_error();
}

HRESULT copy_with_times(const wchar_t *from, const wchar_t *to)
{
    FILE_BASIC_INFO times;
    HANDLE file = CreateFileW(from, FILE_READ_ATTRIBUTES, SHARE_ALL, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return last_error();
    HRESULT hr = get_times(file, &times);
    CloseHandle(file);
    if (hr == S_OK)
        hr = copy_file(from, to);
    if (hr != S_OK)
        return hr;
    forget_aside(to);
    file = CreateFileW(to, FILE_WRITE_ATTRIBUTES, SHARE_ALL, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return last_error();
    hr = set_times(file, &times, 0);
    CloseHandle(file);
    return hr;
}

/* Call `visit` for each name in `folder`, until it returns something else than S_OK. */
HRESULT for_each(const wchar_t *folder, visitor visit, void *context)
{
    WIN32_FIND_DATAW found;
    wchar_t *pattern = join(folder, L"*");
    HANDLE search = FindFirstFileW(pattern, &found);
    free(pattern);
    if (search == INVALID_HANDLE_VALUE)
        return last_error();
    HRESULT hr = S_OK;
    do {
        if (wcscmp(found.cFileName, L".") != 0 && wcscmp(found.cFileName, L"..") != 0)
            hr = visit(context, folder, &found);
    } while (hr == S_OK && FindNextFileW(search, &found));
    FindClose(search);
    return hr;
}

static HRESULT stop(void *context, const wchar_t *folder, const WIN32_FIND_DATAW *found)
{
    (void)context, (void)folder, (void)found;
    return S_FALSE;
}

bool is_empty(const wchar_t *folder)
{
    return for_each(folder, stop, NULL) == S_OK;
}

static HRESULT remove_file(const wchar_t *path)
{
    forget_aside(path);
    return DeleteFileW(path) ? S_OK : last_error();
}

static HRESULT remove_one(void *context, const wchar_t *folder, const WIN32_FIND_DATAW *found)
{
    (void)context;
    wchar_t *path = join(folder, found->cFileName);
    HRESULT hr = S_OK;
    if (found->dwFileAttributes & FILE_ATTRIBUTE_READONLY)
        SetFileAttributesW(path, found->dwFileAttributes & ~(DWORD)FILE_ATTRIBUTE_READONLY);
    if (!(found->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY))
        hr = remove_file(path);
    else if (found->dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT)
        hr = RemoveDirectoryW(path) ? S_OK : last_error(); /* where it leads is not ours */
    else
        hr = remove_tree(path);
    free(path);
    return hr;
}

HRESULT remove_tree(const wchar_t *path)
{
    HRESULT hr = for_each(path, remove_one, NULL);
    if (hr != S_OK)
        return hr;
    forget_aside(path);
    return RemoveDirectoryW(path) ? S_OK : last_error();
}
