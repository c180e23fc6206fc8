/* A transport folder into a layer, as ImportLayer does. What is malformed in it is a violation, named with its path. */

#include "standin.h"

#include <stdlib.h>
#include <string.h>

#define PIECE 65536

struct import {
    struct call *call;
    const wchar_t *to; /* the directory of the layer that is being filled */
};

static HRESULT malformed(struct call *call, const char *what, const wchar_t *path)
{
    violation(call, what, path);
    return E_INVALIDARG;
}

/* Attributes and backup stream out of the file `content` of the transport folder, into an open object. */
static HRESULT restore(struct call *call, HANDLE content, const wchar_t *path, HANDLE object, bool directory)
{
    struct writer *writer;
    uint32_t attributes;
    DWORD got = 0;
    FILE_BASIC_INFO times;
    HRESULT hr = get_times(content, &times);
    if (hr != S_OK)
        return hr;
    if (!ReadFile(content, &attributes, sizeof attributes, &got, NULL))
        return last_error();
    if (got != sizeof attributes)
        return malformed(call, "no 4 bytes of attributes", path);
    if (!(attributes & FILE_ATTRIBUTE_DIRECTORY) == directory)
        return malformed(call, "the attributes do not say whether it is a directory", path);
    hr = open_writer(object, true, &writer);
    if (hr != S_OK)
        return hr;
    unsigned char *buffer = allocate(PIECE);
    do {
        DWORD taken;
        if (!ReadFile(content, buffer, PIECE, &got, NULL))
            hr = last_error();
        else if (feed(writer, buffer, got, &taken) != S_OK)
            hr = malformed(call, "no backup stream", path);
    } while (hr == S_OK && got != 0);
    if (hr == S_OK && !between_streams(writer))
        hr = malformed(call, "the backup stream ends too early", path);
    free(buffer);
    close_writer(writer);
    if (hr == S_OK)
        hr = set_aside_attributes(object, attributes);
    return hr == S_OK ? set_times(object, &times, attributes) : hr;
}

static HRESULT restore_from(struct call *call, const wchar_t *from, const wchar_t *to, bool directory)
{
    HANDLE content = CreateFileW(from, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
    if (content == INVALID_HANDLE_VALUE)
        return GetLastError() == ERROR_FILE_NOT_FOUND && directory
                   ? malformed(call, "a directory without its .$wcidirs$ file", from)
                   : last_error();
    HANDLE object = CreateFileW(to, GENERIC_READ | GENERIC_WRITE | WRITE_DAC | WRITE_OWNER, SHARE_ALL, NULL,
                                directory ? OPEN_EXISTING : CREATE_NEW, FILE_FLAG_BACKUP_SEMANTICS, NULL);
    HRESULT hr = object == INVALID_HANDLE_VALUE ? last_error() : restore(call, content, from, object, directory);
    if (object != INVALID_HANDLE_VALUE)
        CloseHandle(object);
    CloseHandle(content);
    return hr;
}

/* A directory: its children first, since they would change its times. */
static HRESULT import_directory(struct call *call, const wchar_t *from, const wchar_t *to, visitor visit)
{
    struct import inside = {call, to};
    wchar_t *content = with_suffix(from, DIRECTORY_SUFFIX);
    HRESULT hr = make_folder(to);
    if (hr == S_OK)
        hr = for_each(from, visit, &inside);
    if (hr == S_OK)
        hr = restore_from(call, content, to, true);
    free(content);
    return hr;
}

static HRESULT import_object(void *context, const wchar_t *folder, const WIN32_FIND_DATAW *found)
{
    struct import *import = context;
    wchar_t *from = join(folder, found->cFileName);
    wchar_t *to = join(import->to, found->cFileName);
    HRESULT hr = S_OK;
    if (found->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) {
        hr = import_directory(import->call, from, to, import_object);
    } else if (ends_with(from, DIRECTORY_SUFFIX)) {
        wchar_t *directory = copy_text(from);
        directory[wcslen(directory) - wcslen(DIRECTORY_SUFFIX)] = L'\0';
        if (!is_folder(directory))
            hr = malformed(import->call, "a .$wcidirs$ file without its directory", from);
        free(directory);
    } else {
        hr = restore_from(import->call, from, to, false);
    }
    free(to);
    free(from);
    return hr;
}

/* A hive is the file itself, without attributes or headers. */
static HRESULT import_hive(void *context, const wchar_t *folder, const WIN32_FIND_DATAW *found)
{
    struct import *import = context;
    wchar_t *from = join(folder, found->cFileName);
    wchar_t *to = join(import->to, found->cFileName);
    HRESULT hr;
    if (found->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)
        hr = malformed(import->call, "a directory in Hives", from);
    else
        hr = copy_with_times(from, to);
    free(to);
    free(from);
    return hr;
}

static HRESULT check_root(void *context, const wchar_t *folder, const WIN32_FIND_DATAW *found)
{
    static const wchar_t *const known[] = {L"Files", L"Files" DIRECTORY_SUFFIX, L"Hives", L"Hives" DIRECTORY_SUFFIX};
    struct import *import = context;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (wcscmp(found->cFileName, known[i]) == 0)
            return S_OK;
    wchar_t *path = join(folder, found->cFileName);
    HRESULT hr = malformed(import->call, "not for ImportLayer", path);
    free(path);
    return hr;
}

HRESULT import_folder(struct call *call, const wchar_t *id, const wchar_t *transport)
{
    struct import import = {call, NULL};
    wchar_t *folder = long_path(transport);
    wchar_t *layer = long_path(id);
    wchar_t *files = join(layer, L"Files");
    wchar_t *hives = join(layer, L"Hives");
    wchar_t *from_files = join(folder, L"Files");
    wchar_t *from_hives = join(folder, L"Hives");
    HRESULT hr = is_folder(folder) ? for_each(folder, check_root, &import) : win32(ERROR_PATH_NOT_FOUND);
    if (hr == S_OK && !is_folder(from_files))
        hr = malformed(call, "no Files", folder);
    if (hr == S_OK)
        hr = make_folder(layer);
    if (hr == S_OK && (exists(files) || exists(hives)))
        hr = win32(ERROR_FILE_EXISTS);
    if (hr == S_OK)
        hr = import_directory(call, from_files, files, import_object);
    if (hr == S_OK && !call->half && is_folder(from_hives))
        hr = import_directory(call, from_hives, hives, import_hive);
    free(from_hives);
    free(from_files);
    free(hives);
    free(files);
    free(layer);
    free(folder);
    return hr;
}
