#!/usr/bin/env bash
# docker-registry reports the same Range for an upload of which it has nothing and for one of which it has one byte.
#
# Expected: a client that resumes an upload asks how much has arrived and can tell 0 bytes from 1.
# Seen: after 0 bytes and after 1 byte, the answers to PATCH and GET both say "Range: 0-0"; after 2 bytes "0-1".
# Versions: docker-registry 2.8.2 (Debian).
# Why it matters: the Range names the last byte, so it has no form for "nothing". A client that takes 0-0 for one byte
#   leaves out the first byte, one that takes it for nothing sends the first byte twice; both end with a wrong digest.
#   At 0-0 start the upload again.
. "$(dirname "$0")/common.sh"
seen <<'END'
0 bytes sent: PATCH 202 Range 0-0, GET 204 Range 0-0
1 bytes sent: PATCH 202 Range 0-0, GET 204 Range 0-0
2 bytes sent: PATCH 202 Range 0-1, GET 204 Range 0-1
END
debian docker-registry 2.8.2
cleanup() {
    [ -z "${server:-}" ] || kill "$server" 2>/dev/null || true
    rm -rf "$folder"
}
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >config.yml <<END
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $folder/storage}}
http: {addr: "127.0.0.1:$port"}
END
docker-registry serve config.yml >registry.log 2>&1 &
server=$!
python3 - "$port" <<'END' | same
import http.client
import sys
import time
import urllib.parse


def ask(method, target, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
    connection.request(method, target, body, {"Content-Type": "application/octet-stream"} if body is not None else {})
    answer = connection.getresponse()
    answer.read()
    place = urllib.parse.urlsplit(answer.headers.get("Location", ""))
    return answer.status, answer.headers["Range"], f"{place.path}?{place.query}"


for _ in range(100):
    try:
        ask("GET", "/v2/")
        break
    except ConnectionRefusedError:
        time.sleep(0.1)
for count in range(3):
    _, _, target = ask("POST", "/v2/name/blobs/uploads/")
    patched, after_patch, target = ask("PATCH", target, b"x" * count)
    got, after_get, _ = ask("GET", target)
    print(f"{count} bytes sent: PATCH {patched} Range {after_patch}, GET {got} Range {after_get}")
END
