/* A stand-in for vmcompute.dll and for the calls of kernel32 that wine does not have, for tests.
 *
 * It is what the project knows of those calls (hcsshim's use of them, Microsoft's documentation), written as a program
 * that checks its callers. No Windows has been compared with it: a test that passes here shows that the calls are made
 * as they are meant to be, not that Windows would be content.
 *
 * Environment (read at each call):
 *   WCLAYER_STANDIN_STATE      a folder; which layers are active, what backup streams could not be put into files
 *   WCLAYER_STANDIN_LOG        a file; one JSON object a line for each call of vmcompute's, and for each violation
 *   WCLAYER_STANDIN_WIN32_LOG  a file, perhaps the same: the same for the calls of kernel32
 *   WCLAYER_STANDIN_FAIL       failures on demand: see failures.c
 */

#ifndef STANDIN_H
#define STANDIN_H

#define WIN32_LEAN_AND_MEAN
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wchar.h>
#include <windows.h>

/* One call of an export, from its first argument that is looked at to its line in the log. */
struct call {
    const char *name;
    bool kernel32; /* answers TRUE or FALSE, and is logged in the other file */
    bool cleanup; /* frees what another call made: never fails on demand */
    bool violated; /* an argument was wrong */
    HRESULT failure; /* what WCLAYER_STANDIN_FAIL wants, or S_OK */
    bool half; /* the failure comes half-way */
    HRESULT hr;
    char *line; /* the JSON object so far, UTF-8, without its end */
    size_t length;
    size_t capacity;
};

/* log.c: the life of a call. Between begin and end: take_... of each argument, then, if go_on, the action. */
void begin_call(struct call *call, const char *name);
void begin_kernel32_call(struct call *call, const char *name);
bool go_on(struct call *call);
HRESULT end_call(struct call *call);
BOOL end_kernel32_call(struct call *call);
void violation(struct call *call, const char *what, const wchar_t *about);
void put(struct call *call, const char *json);
void put_key(struct call *call, const char *key);
void put_text(struct call *call, const char *key, const wchar_t *text);
void put_number(struct call *call, const char *key, uint64_t number);
void put_bool(struct call *call, const char *key, bool value);
void put_quoted(struct call *call, const wchar_t *text);

/* failures.c */
void find_failure(struct call *call);

/* arguments.c: each is logged and checked. The structures are those of vmcompute.dll on 64 bits. */
struct driver_info {
    uint32_t flavour; /* 1: the filter driver */
    uint32_t pad;
    const wchar_t *home; /* L"" */
};
_Static_assert(sizeof(struct driver_info) == 16, "as hcsshim has it");

struct parent {
    GUID id; /* NameToGuid of the last component of path */
    uint32_t flags;
    uint32_t pad;
    const wchar_t *path;
};
_Static_assert(sizeof(struct parent) == 32, "as hcsshim has it");

void take_info(struct call *call, const struct driver_info *info);
void take_path(struct call *call, const char *key, const wchar_t *path);
void take_name(struct call *call, const char *key, const wchar_t *name);
void take_parents(struct call *call, const struct parent *parents, uint32_t count);
void take_folder_with_backslash(struct call *call, const char *key, const wchar_t *path);
bool bad_text(const wchar_t *text);
GUID guid_of_name(const wchar_t *name);

#define SHARE_ALL (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)

/* paths.c: files and their names. What returns a pointer gives it away to be freed. */
void *allocate(size_t size);
wchar_t *environment(const wchar_t *name);
char *utf8(const wchar_t *text);
wchar_t *copy_text(const wchar_t *text);
wchar_t *long_path(const wchar_t *path);
wchar_t *join(const wchar_t *folder, const wchar_t *name);
wchar_t *with_suffix(const wchar_t *path, const wchar_t *suffix);
const wchar_t *last_component(const wchar_t *path);
bool same_name(const wchar_t *one, const wchar_t *other);
bool ends_with(const wchar_t *text, const wchar_t *suffix);
HRESULT win32(DWORD error);
HRESULT last_error(void);
bool exists(const wchar_t *path);
bool is_folder(const wchar_t *path);
bool is_empty(const wchar_t *folder);
HRESULT make_folder(const wchar_t *path);
HRESULT copy_file(const wchar_t *from, const wchar_t *to);
HRESULT copy_with_times(const wchar_t *from, const wchar_t *to);
HRESULT write_file(const wchar_t *path, const void *data, DWORD size);
char *read_file(const wchar_t *path, DWORD *size);
HRESULT write_at(HANDLE file, uint64_t offset, const void *data, DWORD size);
HRESULT read_at(HANDLE file, uint64_t offset, void *data, DWORD size);
HRESULT set_end(HANDLE file, uint64_t size);
HRESULT get_times(HANDLE file, FILE_BASIC_INFO *times);
HRESULT set_times(HANDLE file, const FILE_BASIC_INFO *times, uint32_t attributes);
typedef HRESULT (*visitor)(void *context, const wchar_t *folder, const WIN32_FIND_DATAW *found);
HRESULT for_each(const wchar_t *folder, visitor visit, void *context);
HRESULT remove_tree(const wchar_t *path);

/* state.c: facts about a folder (a layer, a mount point) that outlive the process. */
HRESULT state_folder(const wchar_t *kind, wchar_t **folder);
bool state_has(const wchar_t *kind, const wchar_t *path);
HRESULT state_set(const wchar_t *kind, const wchar_t *path, const wchar_t *content);
HRESULT state_clear(const wchar_t *kind, const wchar_t *path);
char *state_content(const wchar_t *kind, const wchar_t *path, DWORD *size);

/* aside.c: of an open file, what wine's file systems cannot hold. */
#define ASIDE_START 4 /* where the streams begin, after the attributes */
#define NOT_KNOWN 0xffffffffu
HRESULT open_aside(HANDLE file, bool replace, HANDLE *aside); /* NULL: there is none */
HRESULT set_aside_attributes(HANDLE file, uint32_t attributes);
void forget_aside(const wchar_t *path);

/* stream_content.c */
#define LARGEST_CHECKED (1 << 20) /* of the streams whose content NTFS looks at */
HRESULT check_content(uint32_t id, const unsigned char *data, size_t size);

/* backup_write.c, backup_read.c: backup streams. */
struct stream_head {
    uint32_t id;
    uint32_t attributes;
    uint64_t size;
    uint32_t name_size;
};
#define HEAD_SIZE 20 /* of the structure, without the padding that C puts at its end */
#define LONGEST_NAME (2 * (255 + 32))
#define BLOCK_OFFSET_SIZE 8
#define STREAM_SPARSE 8
struct writer;
HRESULT open_writer(HANDLE file, bool security, struct writer **writer);
HRESULT feed(struct writer *writer, const unsigned char *data, DWORD size, DWORD *taken);
uint64_t skip_written(struct writer *writer, uint64_t size);
bool between_streams(const struct writer *writer);
void close_writer(struct writer *writer);

struct reader;
HRESULT open_reader(HANDLE file, bool security, struct reader **reader);
HRESULT draw(struct reader *reader, unsigned char *data, DWORD size, DWORD *given);
uint64_t skip_read(struct reader *reader, uint64_t size);
uint32_t attributes_of(const struct reader *reader); /* also those that wine cannot hold */
void close_reader(struct reader *reader);

/* transport_import.c, transport_export.c */
#define DIRECTORY_SUFFIX L".$wcidirs$"
#define TOMBSTONES L"tombstones.txt"
HRESULT import_folder(struct call *call, const wchar_t *layer, const wchar_t *folder);
HRESULT export_folder(struct call *call, const wchar_t *layer, const wchar_t *folder);

#endif
