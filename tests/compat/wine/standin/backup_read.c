/* Backup streams out of a file, in the order in which Windows gives them.
 *
 * SECURITY_DATA first, then DATA, and what the file has besides behind it. EAs after the data are what a reader that
 * goes forwards alone loses.
 */

#include "standin.h"

#include <sddl.h>
#include <stdlib.h>
#include <string.h>

/* What an object has that was never restored. */
#define DEFAULT_SECURITY L"O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)"

/* A piece of what is given: from memory, or `length` bytes of a file. */
struct segment {
    unsigned char *memory;
    HANDLE source;
    uint64_t offset;
    uint64_t length;
    bool head; /* of a stream: BackupSeek does not go into it or past it */
};

struct reader {
    HANDLE file;
    HANDLE aside; /* or NULL */
    uint64_t aside_size;
    uint64_t file_size;
    uint32_t attributes;
    struct segment *segments;
    size_t count;
    size_t capacity;
    size_t current;
    uint64_t done; /* of the current segment */
};

static struct segment *add(struct reader *reader, bool head, uint64_t length)
{
    if (reader->count == reader->capacity) {
        reader->capacity = 2 * reader->capacity + 16;
        struct segment *grown = allocate(reader->capacity * sizeof *grown);
        if (reader->count)
            memcpy(grown, reader->segments, reader->count * sizeof *grown);
        free(reader->segments);
        reader->segments = grown;
    }
    struct segment *segment = &reader->segments[reader->count++];
    *segment = (struct segment){.length = length, .head = head};
    return segment;
}

static void add_region(struct reader *reader, bool head, HANDLE source, uint64_t offset, uint64_t length)
{
    struct segment *segment = add(reader, head, length);
    segment->source = source;
    segment->offset = offset;
}

static void add_memory(struct reader *reader, bool head, const void *data, size_t length)
{
    struct segment *segment = add(reader, head, length);
    segment->memory = allocate(length);
    memcpy(segment->memory, data, length);
}

static void add_head(struct reader *reader, uint32_t id, uint64_t size)
{
    struct stream_head head = {.id = id, .size = size};
    add_memory(reader, true, &head, HEAD_SIZE);
}

/* A stream in the aside. */
struct kept {
    struct stream_head head;
    uint64_t at; /* where its header begins */
    uint64_t head_length; /* with name, and offset of a block */
    uint64_t data_length; /* in the aside */
    uint64_t block_offset;
    bool of_file; /* a block whose bytes are in the file */
};

/* The stream at `at`; S_FALSE at the end of the aside. blocks_of_file: would a sparse block here be of DATA? */
static HRESULT look(const struct reader *reader, uint64_t at, bool blocks_of_file, struct kept *kept)
{
    if (reader->aside == NULL || at >= reader->aside_size)
        return S_FALSE;
    *kept = (struct kept){.at = at};
    HRESULT hr = read_at(reader->aside, at, &kept->head, HEAD_SIZE);
    if (hr != S_OK)
        return hr;
    kept->head_length = HEAD_SIZE + kept->head.name_size;
    kept->data_length = kept->head.size;
    if (kept->head.id == BACKUP_SPARSE_BLOCK) {
        hr = read_at(reader->aside, at + kept->head_length, &kept->block_offset, BLOCK_OFFSET_SIZE);
        kept->head_length += BLOCK_OFFSET_SIZE;
        kept->data_length -= BLOCK_OFFSET_SIZE;
        kept->of_file = blocks_of_file;
    }
    return hr;
}

/* Call `visit` for each stream that is kept, with whether it is a block of the file or of the stream `owner`. */
typedef void (*kept_visitor)(struct reader *reader, const struct kept *kept, uint32_t owner, void *context);

static HRESULT each_kept(struct reader *reader, kept_visitor visit, void *context)
{
    uint32_t owner = 0; /* the ID of the last stream that is no block */
    struct kept kept;
    HRESULT hr;
    uint64_t at = ASIDE_START;
    while ((hr = look(reader, at, owner == BACKUP_DATA, &kept)) == S_OK) {
        if (kept.head.id != BACKUP_SPARSE_BLOCK)
            owner = kept.head.id;
        visit(reader, &kept, owner, context);
        at += kept.head_length + (kept.of_file ? 0 : kept.data_length);
    }
    return hr == S_FALSE ? S_OK : hr;
}

static void add_if_owned(struct reader *reader, const struct kept *kept, uint32_t owner, void *context)
{
    if (owner != *(uint32_t *)context)
        return;
    add_region(reader, true, reader->aside, kept->at, kept->head_length);
    if (kept->data_length == 0)
        return;
    if (kept->of_file)
        add_region(reader, false, reader->file, kept->block_offset, kept->data_length);
    else
        add_region(reader, false, reader->aside, kept->at + kept->head_length, kept->data_length);
}

static HRESULT add_kept(struct reader *reader, uint32_t id)
{
    return each_kept(reader, add_if_owned, &id);
}

/* What is there, and where the file ended when its sparse blocks were written. */
struct survey {
    bool security;
    bool sparse;
    bool reparse;
    uint64_t end;
};

static void survey_one(struct reader *reader, const struct kept *kept, uint32_t owner, void *context)
{
    struct survey *survey = context;
    (void)reader;
    survey->security |= owner == BACKUP_SECURITY_DATA;
    survey->reparse |= owner == BACKUP_REPARSE_DATA;
    survey->sparse |= owner == BACKUP_DATA;
    if (kept->of_file && kept->block_offset + kept->data_length > survey->end)
        survey->end = kept->block_offset + kept->data_length;
}

static HRESULT add_default_security(struct reader *reader)
{
    PSECURITY_DESCRIPTOR descriptor;
    ULONG size;
    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(DEFAULT_SECURITY, SDDL_REVISION_1, &descriptor, &size))
        return last_error();
    add_head(reader, BACKUP_SECURITY_DATA, size);
    add_memory(reader, false, descriptor, size);
    LocalFree(descriptor);
    return S_OK;
}

static HRESULT plan(struct reader *reader, bool security)
{
    static const uint32_t behind_data[] = {BACKUP_EA_DATA,   BACKUP_ALTERNATE_DATA, BACKUP_REPARSE_DATA,
                                           BACKUP_OBJECT_ID, BACKUP_PROPERTY_DATA,  BACKUP_TXFS_DATA};
    struct survey survey = {0};
    HRESULT hr = each_kept(reader, survey_one, &survey);
    if (hr == S_OK && security)
        hr = survey.security ? add_kept(reader, BACKUP_SECURITY_DATA) : add_default_security(reader);
    /* A directory's size is 0 here, and an empty file has no DATA stream. */
    if (hr == S_OK && reader->file_size != 0) {
        if (survey.sparse && survey.end == reader->file_size) {
            hr = add_kept(reader, BACKUP_DATA);
        } else { /* never sparse, or written to since by other means */
            add_head(reader, BACKUP_DATA, reader->file_size);
            add_region(reader, false, reader->file, 0, reader->file_size);
        }
    }
    for (size_t i = 0; i < sizeof behind_data / sizeof *behind_data && hr == S_OK; i++)
        hr = add_kept(reader, behind_data[i]);
    uint32_t known = NOT_KNOWN;
    if (hr == S_OK && reader->aside != NULL)
        hr = read_at(reader->aside, 0, &known, sizeof known);
    if (known != NOT_KNOWN)
        reader->attributes = known;
    reader->attributes |= survey.reparse ? FILE_ATTRIBUTE_REPARSE_POINT : 0;
    reader->attributes |= survey.sparse ? FILE_ATTRIBUTE_SPARSE_FILE : 0;
    return hr;
}

HRESULT open_reader(HANDLE file, bool security, struct reader **reader)
{
    BY_HANDLE_FILE_INFORMATION about;
    LARGE_INTEGER aside_size = {0};
    HANDLE aside;
    if (!GetFileInformationByHandle(file, &about))
        return last_error();
    HRESULT hr = open_aside(file, false, &aside);
    if (hr != S_OK)
        return hr;
    if (aside != NULL)
        GetFileSizeEx(aside, &aside_size);
    *reader = allocate(sizeof **reader);
    (*reader)->file = file;
    (*reader)->aside = aside;
    (*reader)->aside_size = (uint64_t)aside_size.QuadPart;
    (*reader)->attributes = about.dwFileAttributes;
    if (!(about.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY))
        (*reader)->file_size = (uint64_t)about.nFileSizeHigh << 32 | about.nFileSizeLow;
    hr = plan(*reader, security);
    if (hr != S_OK) {
        close_reader(*reader);
        *reader = NULL;
    }
    return hr;
}

uint32_t attributes_of(const struct reader *reader)
{
    return reader->attributes;
}

void close_reader(struct reader *reader)
{
    for (size_t i = 0; i < reader->count; i++)
        free(reader->segments[i].memory);
    free(reader->segments);
    if (reader->aside != NULL)
        CloseHandle(reader->aside);
    free(reader);
}

static void advance(struct reader *reader, uint64_t length)
{
    reader->done += length;
    if (reader->done == reader->segments[reader->current].length) {
        reader->current++;
        reader->done = 0;
    }
}

/* The next bytes; none at the end. */
HRESULT draw(struct reader *reader, unsigned char *data, DWORD size, DWORD *given)
{
    HRESULT hr = S_OK;
    *given = 0;
    while (*given < size && reader->current < reader->count && hr == S_OK) {
        const struct segment *segment = &reader->segments[reader->current];
        uint64_t left = segment->length - reader->done;
        DWORD piece = left < size - *given ? (DWORD)left : size - *given;
        if (segment->memory != NULL)
            memcpy(data + *given, segment->memory + reader->done, piece);
        else
            hr = read_at(segment->source, segment->offset + reader->done, data + *given, piece);
        if (hr == S_OK) {
            advance(reader, piece);
            *given += piece;
        }
    }
    return hr;
}

/* As BackupSeek: within the data of one stream, at most to the next header. Returns how far it went. */
uint64_t skip_read(struct reader *reader, uint64_t size)
{
    if (reader->current == reader->count || reader->segments[reader->current].head)
        return 0;
    uint64_t left = reader->segments[reader->current].length - reader->done;
    if (size > left)
        size = left;
    advance(reader, size);
    return size;
}
