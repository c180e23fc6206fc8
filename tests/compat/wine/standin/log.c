/* The log: one JSON object a line, in UTF-8; and what all calls have in common. */

#include "standin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void append_line(const wchar_t *variable, const char *line, size_t length)
{
    wchar_t *path = environment(variable);
    if (path == NULL)
        return;
    /* FILE_APPEND_DATA alone: each write goes to the end, whoever else writes. */
    HANDLE file = CreateFileW(path, FILE_APPEND_DATA, SHARE_ALL, NULL, OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
    DWORD written;
    if (file == INVALID_HANDLE_VALUE || !WriteFile(file, line, (DWORD)length, &written, NULL) || written != length) {
        fprintf(stderr, "the stand-in cannot write its log: error %lu\n", GetLastError());
        abort();
    }
    CloseHandle(file);
    free(path);
}

void put(struct call *call, const char *json)
{
    size_t more = strlen(json);
    if (call->length + more + 1 > call->capacity) {
        call->capacity = 2 * (call->length + more + 1);
        char *grown = allocate(call->capacity);
        if (call->length)
            memcpy(grown, call->line, call->length);
        free(call->line);
        call->line = grown;
    }
    memcpy(call->line + call->length, json, more + 1);
    call->length += more;
}

static void put_code_point(struct call *call, uint32_t point)
{
    char text[16];
    if (point == '"' || point == '\\')
        snprintf(text, sizeof text, "\\%c", (char)point);
    else if (point < 0x20 || (point >= 0xd800 && point < 0xe000)) /* no UTF-8 says a lone surrogate */
        snprintf(text, sizeof text, "\\u%04x", (unsigned)point);
    else if (point < 0x80)
        snprintf(text, sizeof text, "%c", (char)point);
    else if (point < 0x800)
        snprintf(text, sizeof text, "%c%c", (char)(0xc0 | point >> 6), (char)(0x80 | (point & 0x3f)));
    else if (point < 0x10000)
        snprintf(text, sizeof text, "%c%c%c", (char)(0xe0 | point >> 12), (char)(0x80 | (point >> 6 & 0x3f)),
                 (char)(0x80 | (point & 0x3f)));
    else
        snprintf(text, sizeof text, "%c%c%c%c", (char)(0xf0 | point >> 18), (char)(0x80 | (point >> 12 & 0x3f)),
                 (char)(0x80 | (point >> 6 & 0x3f)), (char)(0x80 | (point & 0x3f)));
    put(call, text);
}

static void put_ascii_inside_quotes(struct call *call, const char *text)
{
    for (; *text; text++)
        put_code_point(call, (unsigned char)*text);
}

static void put_inside_quotes(struct call *call, const wchar_t *text)
{
    for (; *text; text++) {
        uint32_t point = *text;
        if (point >= 0xd800 && point < 0xdc00 && text[1] >= 0xdc00 && text[1] < 0xe000) {
            text++;
            point = 0x10000 + ((point - 0xd800) << 10) + (*text - 0xdc00u);
        }
        put_code_point(call, point);
    }
}

void put_quoted(struct call *call, const wchar_t *text)
{
    put(call, "\"");
    put_inside_quotes(call, text);
    put(call, "\"");
}

void put_key(struct call *call, const char *key)
{
    put(call, ", \"");
    put(call, key);
    put(call, "\": ");
}

void put_text(struct call *call, const char *key, const wchar_t *text)
{
    put_key(call, key);
    if (text == NULL)
        put(call, "null");
    else
        put_quoted(call, text);
}

void put_number(struct call *call, const char *key, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    put_key(call, key);
    put(call, text);
}

void put_bool(struct call *call, const char *key, bool value)
{
    put_key(call, key);
    put(call, value ? "true" : "false");
}

/* Something that Windows would not let pass, or would do harm with: `what`, and the text in question or NULL. */
void violation(struct call *call, const char *what, const wchar_t *about)
{
    struct call line = {0};
    put(&line, "{\"violation\": \"");
    put(&line, call->name);
    put(&line, ": ");
    put_ascii_inside_quotes(&line, what);
    if (about != NULL) {
        put(&line, ": ");
        put_inside_quotes(&line, about);
    }
    put(&line, "\"}\n");
    append_line(L"WCLAYER_STANDIN_LOG", line.line, line.length);
    free(line.line);
    call->violated = true;
}

void begin_call(struct call *call, const char *name)
{
    *call = (struct call){.name = name};
    put(call, "{\"call\": \"");
    put(call, name);
    put(call, "\"");
}

void begin_kernel32_call(struct call *call, const char *name)
{
    begin_call(call, name);
    call->kernel32 = true;
}

/* After the arguments: is the call to do what it is for? */
bool go_on(struct call *call)
{
    wchar_t *state = environment(L"WCLAYER_STANDIN_STATE");
    if (state == NULL)
        violation(call, "WCLAYER_STANDIN_STATE names no folder", NULL);
    free(state);
    if (!call->cleanup)
        find_failure(call);
    if (call->violated)
        call->hr = E_INVALIDARG;
    else if (call->failure != S_OK && !call->half)
        call->hr = call->failure;
    return call->hr == S_OK;
}

HRESULT end_call(struct call *call)
{
    char hr[24];
    if (call->violated)
        call->hr = E_INVALIDARG;
    else if (call->hr == S_OK && call->half)
        call->hr = call->failure;
    snprintf(hr, sizeof hr, "\"0x%08lx\"", (unsigned long)call->hr);
    put_key(call, "hr");
    put(call, hr);
    put(call, "}\n");
    append_line(call->kernel32 ? L"WCLAYER_STANDIN_WIN32_LOG" : L"WCLAYER_STANDIN_LOG", call->line, call->length);
    free(call->line);
    return call->hr;
}

BOOL end_kernel32_call(struct call *call)
{
    HRESULT hr = end_call(call);
    SetLastError((DWORD)hr & 0xffff);
    return SUCCEEDED(hr);
}
