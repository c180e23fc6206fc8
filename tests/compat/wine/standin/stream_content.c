/* What NTFS looks at before it takes a stream: security descriptors, EAs, reparse points. */

#include "standin.h"

#include <string.h>
#include <winioctl.h>

#define DESCRIPTOR_SIZE 20
#define SID_START 8 /* revision, count, authority */

static uint32_t word(const unsigned char *data, size_t at)
{
    uint32_t value;
    memcpy(&value, data + at, sizeof value);
    return value;
}

static uint16_t half_word(const unsigned char *data, size_t at)
{
    uint16_t value;
    memcpy(&value, data + at, sizeof value);
    return value;
}

static bool is_sid(const unsigned char *data, size_t size, size_t at)
{
    if (at < DESCRIPTOR_SIZE || at > size || size - at < SID_START)
        return false;
    return data[at] == SID_REVISION && data[at + 1] <= SID_MAX_SUB_AUTHORITIES &&
           size - at >= SID_START + 4 * (size_t)data[at + 1];
}

static bool is_acl(const unsigned char *data, size_t size, size_t at)
{
    if (at < DESCRIPTOR_SIZE || at > size || size - at < sizeof(ACL))
        return false;
    size_t end = at + half_word(data, at + 2);
    if (data[at] < ACL_REVISION || data[at] > ACL_REVISION_DS || end > size)
        return false;
    uint16_t count = half_word(data, at + 4);
    for (at += sizeof(ACL); count != 0; count--) {
        if (end < at + sizeof(ACE_HEADER) + sizeof(ACCESS_MASK))
            return false;
        uint16_t length = half_word(data, at + 2);
        if (length % 4 || length < sizeof(ACE_HEADER) + sizeof(ACCESS_MASK) || length > end - at)
            return false;
        at += length;
    }
    return true;
}

/* Self-relative: revision, padding, control, and the offsets of owner, group, SACL and DACL, 0 for what is not there. */
static HRESULT check_security(const unsigned char *data, size_t size)
{
    const HRESULT bad = win32(ERROR_INVALID_SECURITY_DESCR);
    if (size < DESCRIPTOR_SIZE || data[0] != SECURITY_DESCRIPTOR_REVISION ||
        !(half_word(data, 2) & SE_SELF_RELATIVE))
        return bad;
    for (size_t at = 4; at < 12; at += 4)
        if (word(data, at) != 0 && !is_sid(data, size, word(data, at)))
            return bad;
    for (size_t at = 12; at < 20; at += 4)
        if (word(data, at) != 0 && !is_acl(data, size, word(data, at)))
            return bad;
    return S_OK;
}

/* FILE_FULL_EA_INFORMATION: each but the last says how far the next is, a multiple of 4; the last says 0. */
static HRESULT check_eas(const unsigned char *data, size_t size)
{
    const HRESULT bad = win32(ERROR_EA_LIST_INCONSISTENT);
    for (size_t at = 0;;) {
        if (size - at < 8)
            return bad;
        size_t length = 8 + (size_t)data[at + 5] + 1 + half_word(data, at + 6);
        uint32_t next = word(data, at);
        if (data[at + 5] == 0 || length > size - at || data[at + 8 + data[at + 5]] != 0)
            return bad;
        if (next == 0)
            return size - at - length < 4 ? S_OK : bad; /* nothing but padding may follow */
        if (next % 4 || next < length || next > size - at)
            return bad;
        at += next;
    }
}

/* Tag, length of what follows the header, 0; a tag that is not Microsoft's has a GUID in its header. */
static HRESULT check_reparse(const unsigned char *data, size_t size)
{
    const HRESULT bad = win32(ERROR_INVALID_REPARSE_DATA);
    if (size < 8 || size > MAXIMUM_REPARSE_DATA_BUFFER_SIZE || half_word(data, 6) != 0)
        return bad;
    size_t head = word(data, 0) & 0x80000000 ? 8 : 8 + sizeof(GUID);
    return size == head + half_word(data, 4) ? S_OK : bad;
}

HRESULT check_content(uint32_t id, const unsigned char *data, size_t size)
{
    switch (id) {
    case BACKUP_SECURITY_DATA:
        return check_security(data, size);
    case BACKUP_EA_DATA:
        return check_eas(data, size);
    case BACKUP_REPARSE_DATA:
        return check_reparse(data, size);
    default:
        return S_OK;
    }
}
