/* Layers: which are active and prepared, in which order that may change, and what makes and removes them. */

#include "standin.h"

#include <stdlib.h>
#include <string.h>

#define VOLUME L"\\\\?\\Volume{11111111-2222-3333-4444-555555555555}"
#define ACTIVE L"active"
#define PREPARED L"prepared"

static HRESULT no_such_folder(const wchar_t *path)
{
    wchar_t *whole = long_path(path);
    HRESULT hr = is_folder(whole) ? S_OK : win32(ERROR_PATH_NOT_FOUND);
    free(whole);
    return hr;
}

static HRESULT missing_parent(const struct parent *parents, uint32_t count)
{
    HRESULT hr = S_OK;
    for (uint32_t i = 0; i < count && hr == S_OK; i++)
        hr = no_such_folder(parents[i].path);
    return hr;
}

static HRESULT activate(const wchar_t *id)
{
    HRESULT hr = no_such_folder(id);
    if (hr != S_OK)
        return hr;
    return state_has(ACTIVE, id) ? win32(ERROR_ALREADY_EXISTS) : state_set(ACTIVE, id, id);
}

HRESULT WINAPI ActivateLayer(const struct driver_info *info, const wchar_t *id)
{
    struct call call;
    begin_call(&call, "ActivateLayer");
    take_info(&call, info);
    take_path(&call, "id", id);
    if (go_on(&call))
        call.hr = activate(id);
    return end_call(&call);
}

static HRESULT deactivate(const wchar_t *id)
{
    if (!state_has(ACTIVE, id))
        return win32(ERROR_NOT_READY);
    return state_has(PREPARED, id) ? win32(ERROR_BUSY) : state_clear(ACTIVE, id);
}

HRESULT WINAPI DeactivateLayer(const struct driver_info *info, const wchar_t *id)
{
    struct call call;
    begin_call(&call, "DeactivateLayer");
    take_info(&call, info);
    take_path(&call, "id", id);
    if (go_on(&call))
        call.hr = deactivate(id);
    return end_call(&call);
}

static HRESULT prepare(const wchar_t *id, const struct parent *parents, uint32_t count)
{
    HRESULT hr = missing_parent(parents, count);
    if (hr != S_OK)
        return hr;
    if (!state_has(ACTIVE, id))
        return win32(ERROR_NOT_READY);
    Sleep(20); /* long enough for another thread to come in */
    return state_has(PREPARED, id) ? win32(ERROR_ALREADY_EXISTS) : state_set(PREPARED, id, id);
}

HRESULT WINAPI PrepareLayer(const struct driver_info *info, const wchar_t *id, const struct parent *parents,
                            uint32_t count)
{
    static LONG inside;
    struct call call;
    begin_call(&call, "PrepareLayer");
    if (InterlockedIncrement(&inside) != 1) /* Windows times out then; hcsshim holds a lock */
        violation(&call, "called while another PrepareLayer runs", NULL);
    take_info(&call, info);
    take_path(&call, "id", id);
    take_parents(&call, parents, count);
    if (go_on(&call))
        call.hr = prepare(id, parents, count);
    InterlockedDecrement(&inside);
    return end_call(&call);
}

HRESULT WINAPI UnprepareLayer(const struct driver_info *info, const wchar_t *id)
{
    struct call call;
    begin_call(&call, "UnprepareLayer");
    take_info(&call, info);
    take_path(&call, "id", id);
    if (go_on(&call))
        call.hr = state_has(PREPARED, id) ? state_clear(PREPARED, id) : win32(ERROR_NOT_READY);
    return end_call(&call);
}

static HRESULT destroy(const struct call *call, const wchar_t *id)
{
    if (state_has(ACTIVE, id))
        return win32(ERROR_SHARING_VIOLATION);
    HRESULT hr = no_such_folder(id);
    if (hr != S_OK)
        return hr;
    wchar_t *layer = long_path(id);
    wchar_t *files = join(layer, L"Files");
    if (call->half)
        hr = is_folder(files) ? remove_tree(files) : S_OK;
    else
        hr = remove_tree(layer);
    free(files);
    free(layer);
    return hr;
}

HRESULT WINAPI DestroyLayer(const struct driver_info *info, const wchar_t *id)
{
    struct call call;
    begin_call(&call, "DestroyLayer");
    take_info(&call, info);
    take_path(&call, "id", id);
    if (go_on(&call))
        call.hr = destroy(&call, id);
    return end_call(&call);
}

/* A scratch is a copy of the base's blank.vhdx, and the base is the last parent. */
static HRESULT create_sandbox(const struct call *call, const wchar_t *id, const struct parent *parents, uint32_t count)
{
    HRESULT hr = missing_parent(parents, count);
    if (hr != S_OK)
        return hr;
    wchar_t *base = long_path(parents[count - 1].path);
    wchar_t *blank = join(base, L"blank.vhdx");
    wchar_t *layer = long_path(id);
    wchar_t *sandbox = join(layer, L"sandbox.vhdx");
    hr = make_folder(layer);
    if (hr == S_OK && exists(sandbox))
        hr = win32(ERROR_FILE_EXISTS);
    if (hr == S_OK && !call->half)
        hr = exists(blank) ? copy_file(blank, sandbox) : write_file(sandbox, "vhdxfile", 8);
    free(sandbox);
    free(layer);
    free(blank);
    free(base);
    return hr;
}

HRESULT WINAPI CreateSandboxLayer(const struct driver_info *info, const wchar_t *id, uintptr_t parent,
                                  const struct parent *parents, uint32_t count)
{
    struct call call;
    begin_call(&call, "CreateSandboxLayer");
    take_info(&call, info);
    take_path(&call, "id", id);
    put_number(&call, "parent", parent);
    take_parents(&call, parents, count);
    if (parent != 0)
        violation(&call, "parent: not 0", NULL);
    if (count == 0)
        violation(&call, "parents: none", NULL);
    if (go_on(&call))
        call.hr = create_sandbox(&call, id, parents, count);
    return end_call(&call);
}

HRESULT WINAPI ExpandSandboxSize(const struct driver_info *info, const wchar_t *id, uint64_t size)
{
    struct call call;
    begin_call(&call, "ExpandSandboxSize");
    take_info(&call, info);
    take_path(&call, "id", id);
    put_number(&call, "size", size);
    if (size == 0)
        violation(&call, "size: 0 bytes", NULL);
    if (go_on(&call)) {
        wchar_t *layer = long_path(id);
        wchar_t *sandbox = join(layer, L"sandbox.vhdx");
        if (!exists(sandbox))
            call.hr = last_error();
        else if (state_has(ACTIVE, id))
            call.hr = win32(ERROR_SHARING_VIOLATION);
        free(sandbox);
        free(layer);
    }
    return end_call(&call);
}

HRESULT WINAPI ImportLayer(const struct driver_info *info, const wchar_t *id, const wchar_t *folder,
                           const struct parent *parents, uint32_t count)
{
    struct call call;
    begin_call(&call, "ImportLayer");
    take_info(&call, info);
    take_path(&call, "id", id);
    take_path(&call, "folder", folder);
    take_parents(&call, parents, count);
    if (go_on(&call)) {
        call.hr = missing_parent(parents, count);
        if (call.hr == S_OK)
            call.hr = import_folder(&call, id, folder);
    }
    return end_call(&call);
}

HRESULT WINAPI ExportLayer(const struct driver_info *info, const wchar_t *id, const wchar_t *folder,
                           const struct parent *parents, uint32_t count)
{
    struct call call;
    begin_call(&call, "ExportLayer");
    take_info(&call, info);
    take_path(&call, "id", id);
    take_path(&call, "folder", folder);
    take_parents(&call, parents, count);
    if (go_on(&call)) {
        call.hr = missing_parent(parents, count);
        if (call.hr == S_OK && (!state_has(ACTIVE, id) || state_has(PREPARED, id)))
            call.hr = win32(ERROR_NOT_READY);
        if (call.hr == S_OK)
            call.hr = export_folder(&call, id, folder);
    }
    return end_call(&call);
}

/* Without a buffer it tells the length, with the NUL; with one it wants that length again. */
HRESULT WINAPI GetLayerMountPath(const struct driver_info *info, const wchar_t *id, uint64_t *length, wchar_t *buffer)
{
    const uint64_t needed = wcslen(VOLUME) + 1;
    bool bad = IsBadReadPtr(length, sizeof *length) || IsBadWritePtr(length, sizeof *length);
    struct call call;
    begin_call(&call, "GetLayerMountPath");
    take_info(&call, info);
    take_path(&call, "id", id);
    put_number(&call, "length", bad ? 0 : *length);
    put_bool(&call, "buffer", buffer != NULL);
    if (bad)
        violation(&call, "length: no pointer to 8 bytes", NULL);
    else if (buffer == NULL && *length != 0)
        violation(&call, "length: not 0, without a buffer", NULL);
    else if (buffer != NULL && *length != needed)
        violation(&call, "length: not what the call without a buffer told, in 8 bytes", NULL);
    else if (buffer != NULL && IsBadWritePtr(buffer, needed * sizeof *buffer))
        violation(&call, "buffer: not so long", NULL);
    if (go_on(&call)) {
        if (!state_has(ACTIVE, id))
            call.hr = win32(ERROR_NOT_READY);
        else if (buffer == NULL)
            *length = needed;
        else
            wcscpy(buffer, VOLUME);
    }
    return end_call(&call);
}

HRESULT WINAPI LayerExists(const struct driver_info *info, const wchar_t *id, uint32_t *found)
{
    struct call call;
    begin_call(&call, "LayerExists");
    take_info(&call, info);
    take_path(&call, "id", id);
    if (IsBadWritePtr(found, sizeof *found))
        violation(&call, "exists: no pointer to 4 bytes", NULL);
    if (go_on(&call))
        *found = no_such_folder(id) == S_OK;
    return end_call(&call);
}

/* The name's own bytes, cut or filled with zeros, instead of a hash: whose GUID it is can be read in the log. */
HRESULT WINAPI NameToGuid(const wchar_t *name, GUID *guid)
{
    struct call call;
    begin_call(&call, "NameToGuid");
    take_name(&call, "name", name);
    if (IsBadWritePtr(guid, sizeof *guid))
        violation(&call, "guid: no pointer to 16 bytes", NULL);
    if (go_on(&call))
        *guid = guid_of_name(name);
    return end_call(&call);
}

HRESULT WINAPI GrantVmAccess(const wchar_t *vmid, const wchar_t *path)
{
    struct call call;
    begin_call(&call, "GrantVmAccess");
    take_name(&call, "vmid", vmid);
    take_path(&call, "path", path);
    if (go_on(&call)) {
        wchar_t *file = long_path(path);
        call.hr = exists(file) ? S_OK : last_error();
        free(file);
    }
    return end_call(&call);
}
