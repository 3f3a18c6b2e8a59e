package peer

import (
	"bufio"
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"tutti"
)

// Keys are the secrets that the members of a fleet share. The first one signs; all of them verify. A key is never used
// itself: requests and passes are signed with keys derived from it (HKDF, RFC 5869), so that a signature of one kind is
// nothing to the other.
//
// The file has one key a line, an identifier and at least 32 bytes in hexadecimal with a colon between; lines that are
// empty or begin with # say nothing:
//
//	k2:6a1f…
//	k1:93c0…
//
// To change keys without a pause: add the new one as the last line everywhere, then make it the first line everywhere,
// then remove the old one. Members see a changed file by themselves within a few seconds.
//
// A nil *Keys is no secret at all. It is for processes that hear one another on the loopback interface only: see Secured.
type Keys struct {
	file string

	mu      sync.RWMutex
	keys    []key
	stamp   fileStamp
	checked time.Time // when the file was last looked at
}

type key struct {
	id                  string
	request, pass, edge []byte // derived
}

// fileStamp is what of a file changes when it does.
type fileStamp struct {
	size int64
	mod  time.Time
}

const (
	minKeyBytes  = 32 // RFC 2104 §3: not less than the output of the hash
	maxKeysFile  = 64 << 10
	maxKeyID     = 32
	keysEvery    = 2 * time.Second // between two looks at the file
	worldAllowed = 0o007
)

// ReadKeys reads a file of keys. It returns KindNotFound where there is none, KindForbidden where others on the machine
// could read it as well, and KindInvalid where it is not one.
func ReadKeys(file string) (*Keys, error) {
	k := &Keys{file: file}
	if err := k.Reload(); err != nil {
		return nil, err
	}
	return k, nil
}

// Reload reads the file again if it has changed. Where that fails, the keys stay what they were.
func (k *Keys) Reload() error {
	const op = "peer.ReadKeys"
	if k == nil {
		return nil
	}
	f, err := os.Open(k.file)
	if err != nil {
		kind := tutti.KindUnavailable
		if errors.Is(err, fs.ErrNotExist) {
			kind = tutti.KindNotFound
		}
		return tutti.Wrap(kind, op, err)
	}
	defer f.Close() // only read
	info, err := f.Stat()
	if err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	if info.Mode().Perm()&worldAllowed != 0 {
		return tutti.Errorf(tutti.KindForbidden, op, "everybody on this machine may read the fleet's keys in %s; chmod 600 it", k.file)
	}
	stamp := fileStamp{info.Size(), info.ModTime()}
	k.mu.RLock()
	same := k.keys != nil && stamp == k.stamp
	k.mu.RUnlock()
	if same {
		return nil
	}
	keys, err := parseKeys(f)
	if err != nil {
		return &tutti.Error{Kind: tutti.KindInvalid, Op: op, Message: fmt.Sprintf("%s: %v", k.file, err)}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys, k.stamp = keys, stamp
	return nil
}

// parseKeys reads keys. Its errors name lines, never what is in them.
func parseKeys(r io.Reader) ([]key, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxKeysFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxKeysFile {
		return nil, fmt.Errorf("more than %d bytes", maxKeysFile)
	}
	var keys []key
	lines := bufio.NewScanner(bytes.NewReader(content))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		id, secret, ok := strings.Cut(line, ":")
		if !ok || !goodKeyID(id) {
			return nil, fmt.Errorf("line %d is not an identifier of at most %d letters and digits, a colon and a key in hexadecimal", n, maxKeyID)
		}
		raw, err := hex.DecodeString(secret)
		if err != nil {
			return nil, fmt.Errorf("line %d: the key is not hexadecimal", n)
		}
		if len(raw) < minKeyBytes {
			return nil, fmt.Errorf("line %d: the key has %d bytes; it needs at least %d", n, len(raw), minKeyBytes)
		}
		for _, have := range keys {
			if have.id == id {
				return nil, fmt.Errorf("line %d: the identifier %s is used twice", n, id)
			}
		}
		k, err := derive(id, raw)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key in it")
	}
	return keys, nil
}

func goodKeyID(id string) bool {
	if id == "" || len(id) > maxKeyID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func derive(id string, raw []byte) (key, error) {
	request, err := hkdf.Key(sha256.New, raw, nil, "tutti request 1", sha256.Size)
	if err != nil {
		return key{}, err
	}
	pass, err := hkdf.Key(sha256.New, raw, nil, "tutti pass 1", sha256.Size)
	if err != nil {
		return key{}, err
	}
	edge, err := hkdf.Key(sha256.New, raw, nil, "tutti edge 1", sha256.Size)
	if err != nil {
		return key{}, err
	}
	return key{id: id, request: request, pass: pass, edge: edge}, nil
}

// Edge returns what the proxy in front of the fleet derives its secret from, so that there is no other to hand out: one
// for each key, that of the signing key first. A nil *Keys has none. Like the keys, it follows their file.
func (k *Keys) Edge(now time.Time) [][]byte {
	if k == nil {
		return nil
	}
	_ = k.refresh(now) // where that fails the keys stay as they were
	k.mu.RLock()
	defer k.mu.RUnlock()
	edges := make([][]byte, len(k.keys))
	for i, have := range k.keys {
		edges[i] = have.edge
	}
	return edges
}

// openKey is what a nil *Keys signs with. Everybody knows it; its identifier is one that no file can have.
var openKey = key{id: "", request: make([]byte, sha256.Size), pass: make([]byte, sha256.Size)}

// signing returns the key that signs.
func (k *Keys) signing() key {
	if k == nil {
		return openKey
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.keys[0]
}

// find returns the key that is named by something signed.
func (k *Keys) find(id string) (key, bool) {
	if k == nil {
		return openKey, id == ""
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, have := range k.keys {
		if have.id == id {
			return have, true
		}
	}
	return key{}, false
}

// refresh looks at the file if it has not been looked at for keysEvery. Where it cannot be read, the error says so once
// and the keys stay what they were: a file that is being written must not stop the fleet.
func (k *Keys) refresh(now time.Time) error {
	if k == nil {
		return nil
	}
	k.mu.RLock()
	due := now.Sub(k.checked) >= keysEvery
	k.mu.RUnlock()
	if !due {
		return nil
	}
	k.mu.Lock()
	if now.Sub(k.checked) < keysEvery {
		k.mu.Unlock()
		return nil // somebody else looks
	}
	k.checked = now
	k.mu.Unlock()
	return k.Reload()
}

// NewKeysFile makes a file with one new key, readable by its owner only. It returns KindConflict where there is a file
// already.
func NewKeysFile(file string) error {
	const op = "peer.NewKeysFile"
	var secret [minKeyBytes]byte
	var id [4]byte
	_, _ = rand.Read(secret[:]) // never fails: see crypto/rand
	_, _ = rand.Read(id[:])
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		if errors.Is(err, fs.ErrExist) {
			return tutti.Errorf(tutti.KindConflict, op, "%s exists already", file)
		}
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	_, err = fmt.Fprintf(f, "%x:%x\n", id, secret)
	return tutti.Wrap(tutti.KindUnavailable, op, errors.Join(err, f.Sync(), f.Close()))
}
