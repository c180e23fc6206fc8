/* Facts about folders that outlive the process: STATE\KIND\HASH, a file that holds something about a folder.
 *
 * HASH is FNV-1a (64 bits, sixteen hexadecimal digits) of the folder's path as UTF-16, without \\?\ and in upper case:
 * a path may be longer than a name can be.
 */

#include "standin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* STATE\kind, made if it is not there. */
HRESULT state_folder(const wchar_t *kind, wchar_t **folder)
{
    wchar_t *root = environment(L"WCLAYER_STANDIN_STATE");
    if (root == NULL)
        return E_UNEXPECTED;
    wchar_t *whole = long_path(root);
    HRESULT hr = make_folder(whole);
    *folder = join(whole, kind);
    free(whole);
    free(root);
    if (hr == S_OK)
        hr = make_folder(*folder);
    if (hr != S_OK) {
        free(*folder);
        *folder = NULL;
    }
    return hr;
}

static wchar_t *fact(const wchar_t *kind, const wchar_t *path)
{
    wchar_t *folder;
    if (state_folder(kind, &folder) != S_OK)
        return NULL;
    wchar_t *plain = copy_text(wcsncmp(path, L"\\\\?\\", 4) == 0 ? path + 4 : path);
    while (ends_with(plain, L"\\"))
        plain[wcslen(plain) - 1] = L'\0';
    CharUpperW(plain);
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < wcslen(plain) * sizeof *plain; i++)
        hash = (hash ^ ((unsigned char *)plain)[i]) * 0x100000001b3;
    free(plain);
    wchar_t name[17];
    swprintf(name, 17, L"%016llx", (unsigned long long)hash);
    wchar_t *file = join(folder, name);
    free(folder);
    return file;
}

bool state_has(const wchar_t *kind, const wchar_t *path)
{
    wchar_t *file = fact(kind, path);
    bool found = file != NULL && exists(file);
    free(file);
    return found;
}

HRESULT state_set(const wchar_t *kind, const wchar_t *path, const wchar_t *content)
{
    wchar_t *file = fact(kind, path);
    if (file == NULL)
        return E_UNEXPECTED;
    char *bytes = utf8(content);
    HRESULT hr = write_file(file, bytes, (DWORD)strlen(bytes));
    free(bytes);
    free(file);
    return hr;
}

HRESULT state_clear(const wchar_t *kind, const wchar_t *path)
{
    wchar_t *file = fact(kind, path);
    if (file == NULL)
        return E_UNEXPECTED;
    HRESULT hr = DeleteFileW(file) ? S_OK : last_error();
    free(file);
    return hr;
}

/* UTF-8, with a NUL behind it; or NULL if nothing is known. */
char *state_content(const wchar_t *kind, const wchar_t *path, DWORD *size)
{
    wchar_t *file = fact(kind, path);
    char *content = file == NULL ? NULL : read_file(file, size);
    free(file);
    return content;
}
