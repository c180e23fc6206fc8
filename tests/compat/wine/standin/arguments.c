/* Arguments: what each must be, and how it stands in the log. */

#include "standin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_TEXT 32768 /* UTF-16 units, with the NUL: what a UNICODE_STRING holds */
#define MOST_PARENTS 127

/* Is `text` no pointer to UTF-16 that ends in a NUL? */
bool bad_text(const wchar_t *text)
{
    return text == NULL || IsBadStringPtrW(text, LONGEST_TEXT) || wcsnlen(text, LONGEST_TEXT) == LONGEST_TEXT;
}

GUID guid_of_name(const wchar_t *name)
{
    GUID guid = {0};
    char *bytes = utf8(name);
    size_t length = strlen(bytes);
    memcpy(&guid, bytes, length < sizeof guid ? length : sizeof guid);
    free(bytes);
    return guid;
}

void take_info(struct call *call, const struct driver_info *info)
{
    if (IsBadReadPtr(info, sizeof *info)) {
        put_key(call, "info");
        put(call, "null");
        violation(call, "info: no pointer to a driver info", NULL);
        return;
    }
    char numbers[64];
    snprintf(numbers, sizeof numbers, "{\"flavour\": %lu, \"pad\": %lu, \"home\": ", (unsigned long)info->flavour,
             (unsigned long)info->pad);
    put_key(call, "info");
    put(call, numbers);
    if (bad_text(info->home)) {
        put(call, "null}");
        violation(call, "info: its home is no string", NULL);
        return;
    }
    put_quoted(call, info->home);
    put(call, "}");
    if (info->flavour != 1)
        violation(call, "info: the flavour is not 1, the filter driver", NULL);
    if (info->pad != 0)
        violation(call, "info: the padding is not zero", NULL);
    if (*info->home)
        violation(call, "info: the home is not empty", info->home);
}

static void check_absolute(struct call *call, const char *key, const wchar_t *path)
{
    char what[96];
    const wchar_t *wrong = NULL;
    const wchar_t *plain = wcsncmp(path, L"\\\\?\\", 4) == 0 ? path + 4 : path;
    bool drive = ((*plain >= L'A' && *plain <= L'Z') || (*plain >= L'a' && *plain <= L'z')) && plain[1] == L':';
    if (!drive || plain[2] != L'\\')
        wrong = L"not absolute, on a drive";
    else if (wcschr(plain, L'/') != NULL)
        wrong = L"a slash, which \\\\?\\ would not take for a backslash";
    for (const wchar_t *at = wcschr(plain, L'\\'); at != NULL && wrong == NULL; at = wcschr(at + 1, L'\\')) {
        size_t length = wcscspn(at + 1, L"\\");
        if (length == 0 && (at != plain + 2 || at[1]))
            wrong = L"an empty component";
        else if ((length == 1 && at[1] == L'.') || (length == 2 && at[1] == L'.' && at[2] == L'.'))
            wrong = L"a component . or ..";
    }
    if (wrong != NULL) {
        snprintf(what, sizeof what, "%s: %ls", key, wrong);
        violation(call, what, path);
    }
}

static bool take_text(struct call *call, const char *key, const wchar_t *text)
{
    char what[64];
    bool bad = bad_text(text);
    put_text(call, key, bad ? NULL : text);
    if (bad || !*text) {
        snprintf(what, sizeof what, "%s: %s", key, bad ? "no string that ends in a NUL" : "empty");
        violation(call, what, NULL);
        return false;
    }
    return true;
}

void take_path(struct call *call, const char *key, const wchar_t *path)
{
    if (take_text(call, key, path))
        check_absolute(call, key, path);
}

/* A mount point: SetVolumeMountPoint and its kin want a backslash at the end. */
void take_folder_with_backslash(struct call *call, const char *key, const wchar_t *path)
{
    if (!take_text(call, key, path))
        return;
    if (!ends_with(path, L"\\")) {
        violation(call, "no backslash at the end", path);
        return;
    }
    wchar_t *plain = copy_text(path);
    plain[wcslen(plain) - 1] = L'\0';
    check_absolute(call, key, plain);
    free(plain);
}

void take_name(struct call *call, const char *key, const wchar_t *name)
{
    char what[64];
    if (take_text(call, key, name) && wcschr(name, L'\\') != NULL) {
        snprintf(what, sizeof what, "%s: a path, not a name", key);
        violation(call, what, name);
    }
}

static void take_parent(struct call *call, const struct parent *parent)
{
    char number[40];
    put(call, "{\"guid_bytes\": \"");
    for (size_t i = 0; i < sizeof parent->id; i++) {
        snprintf(number, sizeof number, "%02x", ((const unsigned char *)&parent->id)[i]);
        put(call, number);
    }
    snprintf(number, sizeof number, "\", \"flags\": %lu", (unsigned long)parent->flags);
    put(call, number);
    take_path(call, "path", parent->path);
    put(call, "}");
    if (parent->flags != 0)
        violation(call, "parents: flags are not 0", NULL);
    if (parent->pad != 0)
        violation(call, "parents: the padding is not zero", NULL);
    if (bad_text(parent->path))
        return;
    GUID guid = guid_of_name(last_component(parent->path));
    if (memcmp(&guid, &parent->id, sizeof guid) != 0)
        violation(call, "parents: the GUID is not NameToGuid of the last component", parent->path);
}

void take_parents(struct call *call, const struct parent *parents, uint32_t count)
{
    put_key(call, "parents");
    if (count > MOST_PARENTS || (count != 0 && IsBadReadPtr(parents, count * sizeof *parents))) {
        put(call, "null");
        violation(call, count > MOST_PARENTS ? "parents: more than 127" : "parents: no pointer to so many", NULL);
        return;
    }
    put(call, "[");
    for (uint32_t i = 0; i < count; i++) {
        if (i != 0)
            put(call, ", ");
        take_parent(call, &parents[i]);
    }
    put(call, "]");
}
