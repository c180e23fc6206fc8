/* BackupRead, BackupWrite and BackupSeek: their arguments and contexts.
 *
 * A context is made by the first call, with a pointer to NULL, and lives until a call with bAbort. Windows wants more
 * room in BackupRead's buffer than a header takes; here any size does, so that tests can cut streams anywhere.
 */

#include "standin.h"

#include <stdlib.h>

struct context {
    HANDLE file;
    struct reader *reader; /* one of the two */
    struct writer *writer;
    struct context *next;
};

static SRWLOCK lock = SRWLOCK_INIT;
static struct context *alive; /* so that a pointer that is none of ours is seen without following it */

static bool is_alive(const struct context *context)
{
    bool found = false;
    AcquireSRWLockShared(&lock);
    for (const struct context *at = alive; at != NULL; at = at->next)
        found |= at == context;
    ReleaseSRWLockShared(&lock);
    return found;
}

static struct context *make_context(HANDLE file)
{
    struct context *context = allocate(sizeof *context);
    context->file = file;
    AcquireSRWLockExclusive(&lock);
    context->next = alive;
    alive = context;
    ReleaseSRWLockExclusive(&lock);
    return context;
}

static void end_context(struct context *context)
{
    AcquireSRWLockExclusive(&lock);
    struct context **at = &alive;
    while (*at != context)
        at = &(*at)->next;
    *at = context->next;
    ReleaseSRWLockExclusive(&lock);
    if (context->reader != NULL)
        close_reader(context->reader);
    if (context->writer != NULL)
        close_writer(context->writer);
    free(context);
}

/* The context that `slot` points to, or NULL; what cannot be one is a violation. */
static struct context *take_context(struct call *call, HANDLE file, void **slot, bool may_be_new)
{
    if (IsBadReadPtr(slot, sizeof *slot) || IsBadWritePtr(slot, sizeof *slot)) {
        violation(call, "context: no pointer to a pointer", NULL);
        return NULL;
    }
    struct context *context = *slot;
    if (context == NULL) {
        if (!may_be_new)
            violation(call, "context: none yet", NULL);
        return NULL;
    }
    if (!is_alive(context)) {
        violation(call, "context: not one that is in use", NULL);
        return NULL;
    }
    if (context->file != file)
        violation(call, "context: of another handle", NULL);
    return context;
}

static void take_buffer(struct call *call, const void *buffer, DWORD size, DWORD *done)
{
    put_number(call, "length", size);
    if (IsBadWritePtr(done, sizeof *done))
        violation(call, "no pointer to 4 bytes for the number of bytes", NULL);
    else
        *done = 0;
    if (size != 0 && IsBadReadPtr(buffer, size))
        violation(call, "the buffer is not so long", NULL);
}

/* Was the handle opened with all of `access`? */
static bool is_granted(HANDLE file, ACCESS_MASK access)
{
    struct {
        ULONG attributes;
        ACCESS_MASK granted;
        ULONG more[12];
    } about = {0}; /* OBJECT_BASIC_INFORMATION */
    typedef LONG(WINAPI * query)(HANDLE, int, void *, ULONG, ULONG *);
    query ask = (query)(void *)GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "NtQueryObject");
    return ask != NULL && ask(file, 0, &about, sizeof about, NULL) >= 0 && (about.granted & access) == access;
}

static HRESULT abort_context(struct context *context, void **slot)
{
    if (context != NULL)
        end_context(context);
    *slot = NULL;
    return S_OK;
}

static HRESULT read_on(struct context *context, HANDLE file, BOOL security, void **slot, void *buffer, DWORD size,
                       DWORD *given)
{
    if (context == NULL) {
        struct reader *reader;
        if (!is_granted(file, FILE_READ_DATA | (security ? READ_CONTROL : 0)))
            return win32(ERROR_ACCESS_DENIED);
        HRESULT hr = open_reader(file, security, &reader);
        if (hr != S_OK)
            return hr;
        *slot = context = make_context(file);
        context->reader = reader;
    }
    return draw(context->reader, buffer, size, given);
}

BOOL WINAPI standin_BackupRead(HANDLE file, BYTE *buffer, DWORD size, DWORD *given, BOOL abort, BOOL security,
                               void **slot)
{
    struct call call;
    begin_kernel32_call(&call, "BackupRead");
    call.cleanup = abort;
    put_bool(&call, "abort", abort);
    put_bool(&call, "security", security);
    struct context *context = take_context(&call, file, slot, true);
    if (context != NULL && context->reader == NULL)
        violation(&call, "context: of BackupWrite", NULL);
    if (!abort) {
        take_buffer(&call, buffer, size, given);
        if (size != 0 && IsBadWritePtr(buffer, size))
            violation(&call, "the buffer cannot be written to", NULL);
    }
    if (go_on(&call))
        call.hr = abort ? abort_context(context, slot)
                        : read_on(context, file, security, slot, buffer, call.half ? size / 2 : size, given);
    return end_kernel32_call(&call);
}

static HRESULT write_on(struct context *context, HANDLE file, BOOL security, void **slot, const void *buffer,
                        DWORD size, DWORD *written)
{
    if (context == NULL) {
        struct writer *writer;
        if (!is_granted(file, FILE_WRITE_DATA | (security ? WRITE_DAC | WRITE_OWNER : 0)))
            return win32(ERROR_ACCESS_DENIED);
        HRESULT hr = open_writer(file, security, &writer);
        if (hr != S_OK)
            return hr;
        *slot = context = make_context(file);
        context->writer = writer;
    }
    return feed(context->writer, buffer, size, written);
}

BOOL WINAPI standin_BackupWrite(HANDLE file, BYTE *buffer, DWORD size, DWORD *written, BOOL abort, BOOL security,
                                void **slot)
{
    struct call call;
    begin_kernel32_call(&call, "BackupWrite");
    call.cleanup = abort;
    put_bool(&call, "abort", abort);
    put_bool(&call, "security", security);
    struct context *context = take_context(&call, file, slot, true);
    if (context != NULL && context->writer == NULL)
        violation(&call, "context: of BackupRead", NULL);
    if (!abort)
        take_buffer(&call, buffer, size, written);
    else if (context != NULL && context->writer != NULL)
        put_bool(&call, "whole", between_streams(context->writer));
    if (go_on(&call))
        call.hr = abort ? abort_context(context, slot)
                        : write_on(context, file, security, slot, buffer, call.half ? size / 2 : size, written);
    return end_kernel32_call(&call);
}

BOOL WINAPI standin_BackupSeek(HANDLE file, DWORD low, DWORD high, DWORD *low_done, DWORD *high_done, void **slot)
{
    const uint64_t size = (uint64_t)high << 32 | low;
    struct call call;
    begin_kernel32_call(&call, "BackupSeek");
    put_number(&call, "length", size);
    struct context *context = take_context(&call, file, slot, false);
    if (IsBadWritePtr(low_done, sizeof *low_done) || IsBadWritePtr(high_done, sizeof *high_done))
        violation(&call, "no pointers to 4 bytes each for the number of bytes", NULL);
    if (go_on(&call)) {
        uint64_t done = context->reader ? skip_read(context->reader, size) : skip_written(context->writer, size);
        *low_done = (DWORD)done;
        *high_done = (DWORD)(done >> 32);
        call.hr = done == size ? S_OK : win32(ERROR_SEEK);
    }
    return end_kernel32_call(&call);
}
