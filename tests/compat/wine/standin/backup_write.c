/* Backup streams into a file: a parser that may be fed in pieces of any size. */

#include "standin.h"

#include <stdlib.h>
#include <string.h>

enum destination { NOWHERE, TO_FILE, TO_ASIDE };

struct writer {
    HANDLE file;
    HANDLE aside;
    bool directory;
    bool security; /* SECURITY_DATA is to be restored */
    bool data_seen;
    HRESULT failed; /* what an earlier piece ended in */
    unsigned char head[HEAD_SIZE + LONGEST_NAME + BLOCK_OFFSET_SIZE]; /* of the stream that is coming */
    DWORD head_length;
    bool in_data;
    struct stream_head stream;
    uint64_t left; /* of the stream's data */
    enum destination to;
    enum destination blocks_to; /* where sparse blocks belong: to the stream before them */
    uint64_t file_offset;
    uint64_t aside_offset;
    uint64_t aside_whole; /* up to where the aside holds whole streams */
};

HRESULT open_writer(HANDLE file, bool security, struct writer **writer)
{
    BY_HANDLE_FILE_INFORMATION about;
    if (!GetFileInformationByHandle(file, &about))
        return last_error();
    HANDLE aside;
    HRESULT hr = open_aside(file, true, &aside);
    if (hr != S_OK)
        return hr;
    *writer = allocate(sizeof **writer);
    (*writer)->file = file;
    (*writer)->aside = aside;
    (*writer)->directory = about.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY;
    (*writer)->security = security;
    (*writer)->aside_offset = (*writer)->aside_whole = ASIDE_START;
    return S_OK;
}

bool between_streams(const struct writer *writer)
{
    return !writer->in_data && writer->head_length == 0;
}

/* A stream that has not come whole is forgotten. */
void close_writer(struct writer *writer)
{
    set_end(writer->aside, writer->aside_whole);
    CloseHandle(writer->aside);
    free(writer);
}

static HRESULT to_aside(struct writer *writer, const void *data, DWORD size)
{
    HRESULT hr = write_at(writer->aside, writer->aside_offset, data, size);
    writer->aside_offset += size;
    return hr;
}

static DWORD head_needed(const struct writer *writer)
{
    if (writer->head_length < HEAD_SIZE)
        return HEAD_SIZE;
    return HEAD_SIZE + writer->stream.name_size + (writer->stream.id == BACKUP_SPARSE_BLOCK ? BLOCK_OFFSET_SIZE : 0);
}

/* `:name:$DATA`, without other colons or backslashes. */
static bool is_stream_name(const wchar_t *name, size_t length)
{
    static const wchar_t type[] = L":$DATA";
    const size_t end = wcslen(type);
    if (length < 2 + end || name[0] != L':' || wcsncmp(name + length - end, type, end) != 0)
        return false;
    for (size_t i = 1; i < length - end; i++)
        if (name[i] == L':' || name[i] == L'\\' || name[i] == L'/' || name[i] == 0)
            return false;
    return true;
}

static HRESULT check_fixed_head(struct writer *writer)
{
    memcpy(&writer->stream, writer->head, HEAD_SIZE);
    const struct stream_head *stream = &writer->stream;
    bool named = stream->id == BACKUP_ALTERNATE_DATA;
    if (stream->id < BACKUP_DATA || stream->id > BACKUP_TXFS_DATA || stream->size > INT64_MAX)
        return win32(ERROR_INVALID_DATA);
    if (stream->name_size > LONGEST_NAME || stream->name_size % 2 || named != (stream->name_size != 0))
        return win32(ERROR_INVALID_DATA);
    if (stream->id == BACKUP_SPARSE_BLOCK && (stream->size < BLOCK_OFFSET_SIZE || writer->blocks_to == NOWHERE))
        return win32(ERROR_INVALID_DATA);
    return S_OK;
}

static HRESULT start_data(struct writer *writer, bool sparse)
{
    if (writer->directory)
        return win32(ERROR_INVALID_PARAMETER);
    if (writer->data_seen)
        return win32(ERROR_INVALID_DATA);
    writer->data_seen = true;
    writer->to = TO_FILE;
    writer->file_offset = 0;
    if (!sparse)
        return S_OK;
    writer->blocks_to = TO_FILE;
    HRESULT hr = set_end(writer->file, 0);
    return hr == S_OK ? to_aside(writer, writer->head, writer->head_length) : hr;
}

static HRESULT start_block(struct writer *writer)
{
    writer->left -= BLOCK_OFFSET_SIZE;
    writer->to = writer->blocks_to;
    memcpy(&writer->file_offset, writer->head + HEAD_SIZE, BLOCK_OFFSET_SIZE);
    if (writer->file_offset > INT64_MAX - writer->left)
        return win32(ERROR_INVALID_DATA);
    HRESULT hr = to_aside(writer, writer->head, writer->head_length);
    if (hr == S_OK && writer->to == TO_FILE && writer->left == 0) /* the last one, which says where the file ends */
        hr = set_end(writer->file, writer->file_offset);
    return hr;
}

static bool is_checked(uint32_t id)
{
    return id == BACKUP_SECURITY_DATA || id == BACKUP_EA_DATA || id == BACKUP_REPARSE_DATA;
}

/* What has just come, read back. */
static HRESULT check_last(const struct writer *writer)
{
    DWORD size = (DWORD)writer->stream.size;
    unsigned char *data = allocate(size);
    HRESULT hr = read_at(writer->aside, writer->aside_offset - size, data, size);
    if (hr == S_OK)
        hr = check_content(writer->stream.id, data, size);
    free(data);
    return hr;
}

static HRESULT start_stream(struct writer *writer)
{
    const struct stream_head *stream = &writer->stream;
    writer->left = stream->size;
    writer->in_data = true;
    if (stream->id == BACKUP_SPARSE_BLOCK)
        return start_block(writer);
    /* A sparse stream has no bytes of its own: its blocks follow. */
    bool sparse = (stream->attributes & STREAM_SPARSE) && stream->size == 0;
    writer->blocks_to = NOWHERE;
    if (stream->id == BACKUP_DATA)
        return start_data(writer, sparse);
    if (stream->id == BACKUP_LINK || (stream->id == BACKUP_SECURITY_DATA && !writer->security)) {
        writer->to = NOWHERE;
        return S_OK;
    }
    if (stream->id == BACKUP_ALTERNATE_DATA) {
        wchar_t name[LONGEST_NAME / 2];
        memcpy(name, writer->head + HEAD_SIZE, stream->name_size);
        if (!is_stream_name(name, stream->name_size / 2))
            return win32(ERROR_INVALID_NAME);
        writer->blocks_to = sparse ? TO_ASIDE : NOWHERE;
    }
    if (is_checked(stream->id) && stream->size > LARGEST_CHECKED)
        return win32(ERROR_INVALID_DATA);
    writer->to = TO_ASIDE;
    return to_aside(writer, writer->head, writer->head_length);
}

static HRESULT end_stream(struct writer *writer)
{
    HRESULT hr = writer->to == TO_ASIDE && is_checked(writer->stream.id) ? check_last(writer) : S_OK;
    if (hr != S_OK)
        return hr;
    writer->in_data = false;
    writer->head_length = 0;
    writer->aside_whole = writer->aside_offset;
    if (writer->stream.id == BACKUP_DATA && writer->blocks_to == NOWHERE)
        return set_end(writer->file, writer->file_offset);
    return S_OK;
}

static HRESULT put_data(struct writer *writer, const unsigned char *data, DWORD size)
{
    writer->left -= size;
    if (writer->to == TO_ASIDE)
        return to_aside(writer, data, size);
    if (writer->to == NOWHERE)
        return S_OK;
    HRESULT hr = write_at(writer->file, writer->file_offset, data, size);
    writer->file_offset += size;
    return hr;
}

/* One step: some bytes of a header, or of data. */
static HRESULT step(struct writer *writer, const unsigned char *data, DWORD size, DWORD *used)
{
    HRESULT hr = S_OK;
    if (writer->in_data) {
        *used = writer->left < size ? (DWORD)writer->left : size;
        hr = put_data(writer, data, *used);
    } else {
        DWORD more = head_needed(writer) - writer->head_length;
        *used = more < size ? more : size;
        memcpy(writer->head + writer->head_length, data, *used);
        writer->head_length += *used;
        if (writer->head_length == HEAD_SIZE)
            hr = check_fixed_head(writer);
        if (hr == S_OK && writer->head_length == head_needed(writer))
            hr = writer->head_length < HEAD_SIZE ? S_OK : start_stream(writer);
    }
    if (hr == S_OK && writer->in_data && writer->left == 0)
        hr = end_stream(writer);
    return hr;
}

HRESULT feed(struct writer *writer, const unsigned char *data, DWORD size, DWORD *taken)
{
    *taken = 0;
    while (*taken < size && writer->failed == S_OK) {
        DWORD used = 0;
        writer->failed = step(writer, data + *taken, size - *taken, &used);
        *taken += used;
    }
    return writer->failed;
}

/* As BackupSeek: at most to the end of the current stream. What is skipped becomes zeros. Returns how much it was. */
uint64_t skip_written(struct writer *writer, uint64_t size)
{
    if (!writer->in_data || writer->failed != S_OK)
        return 0;
    if (size > writer->left)
        size = writer->left;
    writer->left -= size;
    if (writer->to == TO_FILE)
        writer->file_offset += size;
    if (writer->to == TO_ASIDE) {
        writer->aside_offset += size;
        writer->failed = set_end(writer->aside, writer->aside_offset);
    }
    if (writer->left == 0 && writer->failed == S_OK)
        writer->failed = end_stream(writer);
    return size;
}
