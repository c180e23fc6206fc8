/* What Windows makes of a base layer's files: ProcessBaseImage and ProcessUtilityImage. */

#include "standin.h"

#include <stdlib.h>
#include <string.h>

#define BASE_BLOCK_SIZE 512
#define BASE_BLOCK_TIME 12 /* LastWritten, a FILETIME */
#define BASE_BLOCK_SUM 508 /* XOR of the 127 words before */

static const struct {
    const wchar_t *config;
    const wchar_t *base;
} hives[] = {
    {L"DEFAULT", L"DefaultUser_Base"},
    {L"SAM", L"Sam_Base"},
    {L"SECURITY", L"Security_Base"},
    {L"SOFTWARE", L"Software_Base"},
    {L"SYSTEM", L"System_Base"},
};

static HRESULT check_hive(const wchar_t *path)
{
    DWORD size = 0;
    char *content = read_file(path, &size);
    if (content == NULL)
        return last_error();
    HRESULT hr = size >= 4 && memcmp(content, "regf", 4) == 0 ? S_OK : win32(ERROR_BADDB);
    free(content);
    return hr;
}

static HRESULT put_file(const wchar_t *folder, const wchar_t *name, const char *content)
{
    wchar_t *path = join(folder, name);
    HRESULT hr = write_file(path, content, (DWORD)strlen(content));
    free(path);
    return hr;
}

static bool has(const wchar_t *folder, const wchar_t *name)
{
    wchar_t *path = join(folder, name);
    bool found = exists(path);
    free(path);
    return found;
}

/* Check the five hives, or (`made` is the folder Hives) copy them. */
static HRESULT each_hive(const wchar_t *layer, const wchar_t *made)
{
    wchar_t *config = join(layer, L"Files\\Windows\\System32\\config");
    HRESULT hr = S_OK;
    for (size_t i = 0; i < sizeof hives / sizeof *hives && hr == S_OK; i++) {
        wchar_t *from = join(config, hives[i].config);
        if (made == NULL)
            hr = check_hive(from);
        else {
            wchar_t *to = join(made, hives[i].base);
            hr = copy_file(from, to);
            free(to);
        }
        free(from);
    }
    free(config);
    return hr;
}

/* Neither atomic nor repeatable, as on Windows: what a run that failed has left makes the next one fail. */
static HRESULT process_base(const struct call *call, const wchar_t *layer)
{
    if (has(layer, L"Hives") || has(layer, L"blank-base.vhdx") || has(layer, L"layout"))
        return win32(ERROR_FILE_EXISTS);
    HRESULT hr = each_hive(layer, NULL);
    if (hr != S_OK)
        return hr;
    wchar_t *made = join(layer, L"Hives");
    hr = make_folder(made);
    if (hr == S_OK)
        hr = each_hive(layer, made);
    free(made);
    if (hr == S_OK)
        hr = put_file(layer, L"layout", "vhd-with-hives\n");
    if (hr == S_OK)
        hr = put_file(layer, L"blank-base.vhdx", "vhdxfile: the base");
    if (hr == S_OK && !call->half)
        hr = put_file(layer, L"blank.vhdx", "vhdxfile: its child");
    return hr;
}

HRESULT WINAPI ProcessBaseImage(const wchar_t *path)
{
    struct call call;
    begin_call(&call, "ProcessBaseImage");
    take_path(&call, "path", path);
    if (go_on(&call)) {
        wchar_t *layer = long_path(path);
        call.hr = process_base(&call, layer);
        free(layer);
    }
    return end_call(&call);
}

/* In place, so that other names of the file change with it; what was a whole base block stays one. */
static HRESULT rewrite_boot_store(const wchar_t *path)
{
    HANDLE file = CreateFileW(path, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return last_error();
    uint32_t block[BASE_BLOCK_SIZE / 4];
    HRESULT hr = read_at(file, 0, block, sizeof block);
    if (hr == S_OK) {
        block[BASE_BLOCK_TIME / 4]++;
        uint32_t sum = 0;
        for (size_t i = 0; i < BASE_BLOCK_SUM / 4; i++)
            sum ^= block[i];
        block[BASE_BLOCK_SUM / 4] = sum == 0 ? 1 : sum == 0xffffffff ? 0xfffffffe : sum;
        hr = write_at(file, 0, block, sizeof block);
    } else {
        hr = write_at(file, BASE_BLOCK_SIZE, "rewritten", 9);
    }
    CloseHandle(file);
    return hr;
}

static HRESULT process_utility(const struct call *call, const wchar_t *folder)
{
    wchar_t *store = join(folder, L"Files\\EFI\\Microsoft\\Boot\\BCD");
    HRESULT hr = check_hive(store);
    if (hr == S_OK && (has(folder, L"SystemTemplateBase.vhdx") || has(folder, L"SystemTemplate.vhdx")))
        hr = win32(ERROR_FILE_EXISTS);
    if (hr == S_OK)
        hr = rewrite_boot_store(store);
    free(store);
    if (hr == S_OK)
        hr = put_file(folder, L"SystemTemplateBase.vhdx", "vhdxfile: the utility VM");
    if (hr == S_OK && !call->half)
        hr = put_file(folder, L"SystemTemplate.vhdx", "vhdxfile: its child");
    return hr;
}

HRESULT WINAPI ProcessUtilityImage(const wchar_t *path)
{
    struct call call;
    begin_call(&call, "ProcessUtilityImage");
    take_path(&call, "path", path);
    if (!call.violated && !same_name(last_component(path), L"UtilityVM"))
        violation(&call, "path: not the folder UtilityVM of a layer", path);
    if (go_on(&call)) {
        wchar_t *folder = long_path(path);
        call.hr = process_utility(&call, folder);
        free(folder);
    }
    return end_call(&call);
}
