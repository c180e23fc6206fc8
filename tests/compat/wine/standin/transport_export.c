/* A layer into a transport folder, as ExportLayer does.
 *
 * Whiteouts are what a test has put into STATE\tombstones (see state.c): UTF-8, a line each, `\path` under Files.
 */

#include "standin.h"

#include <stdlib.h>
#include <string.h>

#define PIECE 65536

static HRESULT write_content(struct reader *reader, HANDLE content)
{
    uint32_t attributes = attributes_of(reader);
    uint64_t offset = sizeof attributes;
    HRESULT hr = write_at(content, 0, &attributes, sizeof attributes);
    unsigned char *buffer = allocate(PIECE);
    DWORD given = 1;
    while (hr == S_OK && given != 0) {
        hr = draw(reader, buffer, PIECE, &given);
        if (hr == S_OK)
            hr = write_at(content, offset, buffer, given);
        offset += given;
    }
    free(buffer);
    return hr;
}

/* The object `from` as a file `to`, which has its times. */
static HRESULT export_to(const wchar_t *from, const wchar_t *to)
{
    HANDLE object = CreateFileW(from, GENERIC_READ, SHARE_ALL, NULL, OPEN_EXISTING,
                                FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT, NULL);
    if (object == INVALID_HANDLE_VALUE)
        return last_error();
    HANDLE content = CreateFileW(to, GENERIC_WRITE, 0, NULL, CREATE_NEW, 0, NULL);
    HRESULT hr = content == INVALID_HANDLE_VALUE ? last_error() : S_OK;
    FILE_BASIC_INFO times;
    struct reader *reader = NULL;
    if (hr == S_OK)
        hr = get_times(object, &times);
    if (hr == S_OK)
        hr = open_reader(object, true, &reader);
    if (hr == S_OK)
        hr = write_content(reader, content);
    if (hr == S_OK)
        hr = set_times(content, &times, 0);
    if (reader != NULL)
        close_reader(reader);
    if (content != INVALID_HANDLE_VALUE)
        CloseHandle(content);
    CloseHandle(object);
    forget_aside(to);
    return hr;
}

static HRESULT export_directory(const wchar_t *from, const wchar_t *to, visitor visit)
{
    wchar_t *content = with_suffix(to, DIRECTORY_SUFFIX);
    HRESULT hr = make_folder(to);
    if (hr == S_OK)
        hr = export_to(from, content);
    if (hr == S_OK)
        hr = for_each(from, visit, (void *)to);
    free(content);
    return hr;
}

static HRESULT export_object(void *context, const wchar_t *folder, const WIN32_FIND_DATAW *found)
{
    wchar_t *from = join(folder, found->cFileName);
    wchar_t *to = join(context, found->cFileName);
    HRESULT hr;
    if (found->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)
        hr = export_directory(from, to, export_object);
    else
        hr = export_to(from, to);
    free(to);
    free(from);
    return hr;
}

static HRESULT export_hive(void *context, const wchar_t *folder, const WIN32_FIND_DATAW *found)
{
    if (!ends_with(found->cFileName, L"_Delta"))
        return S_OK;
    wchar_t *from = join(folder, found->cFileName);
    wchar_t *to = join(context, found->cFileName);
    HRESULT hr = copy_with_times(from, to);
    free(to);
    free(from);
    return hr;
}

/* Always there: UTF-8 with a mark. Windows' line ends are not known; these are those that a reader may stumble over. */
static HRESULT write_tombstones(const wchar_t *id, const wchar_t *folder)
{
    static const char start[] = "\xef\xbb\xbfVersion 1.0\r\n";
    DWORD size = 0;
    char *names = state_content(L"tombstones", id, &size);
    char *text = allocate(sizeof start + 2 * (size_t)size + 2);
    char *end = text + strlen(strcpy(text, start));
    for (const char *at = names; at != NULL && *at;) {
        size_t length = strcspn(at, "\r\n");
        if (length != 0) {
            memcpy(end, at, length);
            memcpy(end + length, "\r\n", 2);
            end += length + 2;
        }
        at += length + strspn(at + length, "\r\n");
    }
    wchar_t *path = join(folder, TOMBSTONES);
    HRESULT hr = write_file(path, text, (DWORD)(end - text));
    free(path);
    free(text);
    free(names);
    return hr;
}

HRESULT export_folder(struct call *call, const wchar_t *id, const wchar_t *transport)
{
    wchar_t *folder = long_path(transport);
    wchar_t *layer = long_path(id);
    wchar_t *files = join(layer, L"Files");
    wchar_t *hives = join(layer, L"Hives");
    wchar_t *to_files = join(folder, L"Files");
    wchar_t *to_hives = join(folder, L"Hives");
    HRESULT hr = make_folder(folder);
    if (hr == S_OK && !is_empty(folder))
        hr = win32(ERROR_FILE_EXISTS);
    if (hr == S_OK && !is_folder(files))
        hr = win32(ERROR_PATH_NOT_FOUND);
    if (hr == S_OK)
        hr = export_directory(files, to_files, export_object);
    if (hr == S_OK && !call->half && is_folder(hives))
        hr = export_directory(hives, to_hives, export_hive);
    if (hr == S_OK && !call->half)
        hr = write_tombstones(id, folder);
    free(to_hives);
    free(to_files);
    free(hives);
    free(files);
    free(layer);
    free(folder);
    return hr;
}
