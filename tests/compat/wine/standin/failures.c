/* Failures on demand: WCLAYER_STANDIN_FAIL is a list, separated by commas, of
 *
 *     Call=0x80070005        each call of that name returns this HRESULT before it does anything
 *     Call=0x80070005@2      the second one alone
 *     Call=0x80070005!       half of the work is done first; what it leaves behind is the caller's to find
 *     Call=0x80070005!@2
 *
 * Calls of kernel32 set the low 16 bits as the last error and return FALSE. Calls are counted in one process, from the
 * moment when the variable got the value that it has; those with bAbort, which free a context, neither count nor fail.
 */

#include "standin.h"

#include <stdlib.h>
#include <string.h>

static struct {
    const char *name;
    unsigned long calls;
} counted[] = {
    {"ActivateLayer", 0},
    {"BackupRead", 0},
    {"BackupSeek", 0},
    {"BackupWrite", 0},
    {"CreateSandboxLayer", 0},
    {"DeactivateLayer", 0},
    {"DeleteVolumeMountPointW", 0},
    {"DestroyLayer", 0},
    {"ExpandSandboxSize", 0},
    {"ExportLayer", 0},
    {"GetLayerMountPath", 0},
    {"GetVolumeNameForVolumeMountPointW", 0},
    {"GrantVmAccess", 0},
    {"ImportLayer", 0},
    {"LayerExists", 0},
    {"NameToGuid", 0},
    {"PrepareLayer", 0},
    {"ProcessBaseImage", 0},
    {"ProcessUtilityImage", 0},
    {"SetVolumeMountPointW", 0},
    {"UnprepareLayer", 0},
};
#define COUNTED (sizeof counted / sizeof *counted)

static SRWLOCK lock = SRWLOCK_INIT;
static wchar_t *counted_for; /* the value since which calls are counted */

static unsigned long count(const struct call *call, const wchar_t *value)
{
    unsigned long number = 0;
    AcquireSRWLockExclusive(&lock);
    if (counted_for == NULL || wcscmp(counted_for, value) != 0) {
        free(counted_for);
        counted_for = copy_text(value);
        for (size_t i = 0; i < COUNTED; i++)
            counted[i].calls = 0;
    }
    for (size_t i = 0; i < COUNTED; i++)
        if (strcmp(counted[i].name, call->name) == 0)
            number = ++counted[i].calls;
    ReleaseSRWLockExclusive(&lock);
    return number;
}

static const char *known(const wchar_t *name, size_t length)
{
    for (size_t i = 0; i < COUNTED; i++) {
        size_t at = 0;
        while (at < length && counted[i].name[at] && (wchar_t)counted[i].name[at] == name[at])
            at++;
        if (at == length && !counted[i].name[at])
            return counted[i].name;
    }
    return NULL;
}

/* One element of the list. Returns where it ends, or NULL if it cannot be understood. */
static const wchar_t *look_at(struct call *call, const wchar_t *element, unsigned long number)
{
    const wchar_t *equals = wcschr(element, L'=');
    const char *name = equals == NULL ? NULL : known(element, (size_t)(equals - element));
    if (name == NULL)
        return NULL;
    wchar_t *end;
    unsigned long hr = wcstoul(equals + 1, &end, 16);
    bool half = *end == L'!';
    if (half)
        end++;
    unsigned long wanted = *end == L'@' ? wcstoul(end + 1, &end, 10) : 0;
    if (!FAILED((HRESULT)hr) || (*end && *end != L','))
        return NULL;
    if (strcmp(name, call->name) == 0 && (wanted == 0 || wanted == number)) {
        call->failure = (HRESULT)hr;
        call->half = half;
    }
    return *end ? end + 1 : end;
}

void find_failure(struct call *call)
{
    wchar_t *value = environment(L"WCLAYER_STANDIN_FAIL");
    unsigned long number = count(call, value == NULL ? L"" : value);
    for (const wchar_t *at = value; at != NULL && *at;) {
        const wchar_t *next = look_at(call, at, number);
        if (next == NULL)
            violation(call, "WCLAYER_STANDIN_FAIL is not understood", at);
        at = next;
    }
    free(value);
}
