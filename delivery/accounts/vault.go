package accounts

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// vault encrypts the secrets that must be recoverable, with a key that lies in a file of its own: whoever gets hold
// of the database alone, or of a copy of it, cannot read them.
type vault struct {
	aead cipher.AEAD
	id   [4]byte // names the key, so that a secret sealed with another one is told apart from a damaged one
}

const (
	keyLen     = 32 // bytes: AES-256
	sealedForm = 1  // the first byte of what seal returns
)

var errOtherKey = errors.New("sealed with another key")

func newVault(key []byte) (*vault, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	v := &vault{aead: aead}
	sum := sha256.Sum256(append([]byte("tutti key id\x00"), key...))
	copy(v.id[:], sum[:])
	return v, nil
}

func additional(user tutti.ID) []byte { return []byte("tutti user secret\x00" + string(user)) }

// seal encrypts a user's secret: form, key id, nonce, ciphertext. The user's id is authenticated with it, so that a
// secret copied into another user's item does not open. Random 96-bit nonces are safe for 2³² secrets a key (NIST SP
// 800-38D §8.3).
func (v *vault) seal(user tutti.ID, secret string) []byte {
	out := append([]byte{sealedForm}, v.id[:]...)
	nonce := make([]byte, v.aead.NonceSize())
	rand.Read(nonce) // never fails: crypto/rand ends the program instead
	return v.aead.Seal(append(out, nonce...), nonce, []byte(secret), additional(user))
}

// open decrypts what seal made. It returns errOtherKey where that was done with another key.
func (v *vault) open(user tutti.ID, sealed []byte) (string, error) {
	if v == nil {
		return "", errNoKey
	}
	head := 1 + len(v.id)
	if len(sealed) < head+v.aead.NonceSize() || sealed[0] != sealedForm {
		return "", errors.New("a sealed secret is damaged")
	}
	if !bytes.Equal(sealed[1:head], v.id[:]) {
		return "", errOtherKey
	}
	nonce, text := sealed[head:head+v.aead.NonceSize()], sealed[head+v.aead.NonceSize():]
	secret, err := v.aead.Open(nil, nonce, text, additional(user))
	return string(secret), err
}

// errNoKey is what a Directory knows of secrets.
var errNoKey = errors.New("this process has no key to secrets")

// loadKey reads the key file, or makes one (0600): 64 hexadecimal digits and a newline. Of two processes that make it
// at once, one does and both read the same.
func loadKey(path string) ([]byte, error) {
	const op = "accounts.loadKey"
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	fresh := make([]byte, keyLen)
	rand.Read(fresh) // never fails: crypto/rand ends the program instead
	if err := writeNew(path, []byte(hex.EncodeToString(fresh)+"\n")); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	key, err = readKey(path)
	return key, tutti.Wrap(tutti.KindUnavailable, op, err)
}

func readKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4*keyLen))
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != keyLen {
		return nil, tutti.Errorf(tutti.KindInvalid, "accounts.readKey",
			"the key file is damaged: it should hold %d hexadecimal digits; bring it back from a backup, or remove it and have everybody sign in with their password once", 2*keyLen)
	}
	return key, nil
}

// writeNew writes a file whole or not at all, and returns fs.ErrExist where there is one already.
func writeNew(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// keyNote is what the store remembers of the key, to notice that it was replaced.
type keyNote struct {
	KeyID    string `json:"keyId"`
	Replaced int64  `json:"replaced,omitempty"` // Unix seconds; 0: never
	Shared   bool   `json:"shared,omitempty"`   // a fleet lets people in by this store, whoever opens it now
}

var keyNoteKey = store.Key{PK: "accounts/key", SK: "current"}

// openVault reads the key file, or makes one, and compares the key with the one that the store remembers. It fills
// a.vault and a.replaced, and returns the key.
func (a *Accounts) openVault(ctx context.Context, c Config) ([]byte, error) {
	const op = "accounts.openVault"
	for {
		note, cond, err := a.keyNote(ctx)
		if err != nil {
			return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
		}
		// A command on the host whose database the fleet shares may not know that it does.
		shared := c.Shared || note.Shared
		if shared && note.KeyID != "" {
			// To make one now would only lead to the message about two different ones at the next start.
			if _, err := os.Stat(c.KeyFile); errors.Is(err, fs.ErrNotExist) {
				return nil, tutti.Errorf(tutti.KindInvalid, op, "there is no key file %s, and the fleet has one (%s): name it with --fleet-secret-file, or copy it from a delivery node that works; %s", c.KeyFile, note.KeyID, lostKey)
			}
		}
		key, err := loadKey(c.KeyFile)
		if err != nil {
			return nil, err
		}
		if a.vault, err = newVault(key); err != nil {
			return nil, tutti.Wrap(tutti.KindInternal, op, err)
		}
		if id := hex.EncodeToString(a.vault.id[:]); note.KeyID != id || note.Shared != shared {
			if note.KeyID != id && note.KeyID != "" {
				if shared {
					return nil, tutti.Errorf(tutti.KindInvalid, op, "the key file %s (%s) is not the fleet's (%s): name that with --fleet-secret-file, or copy it from a delivery node that works; %s", c.KeyFile, id, note.KeyID, lostKey)
				}
				note.Replaced = a.clock.Now().Unix()
				a.logger.Warn("the key file was replaced: apps that sign in with a token get in again after their user has signed in with a password once")
			}
			note.KeyID, note.Shared = id, shared
			value, err := json.Marshal(note)
			if err != nil {
				return nil, tutti.Wrap(tutti.KindInternal, op, err)
			}
			_, err = a.store.Put(ctx, keyNoteKey, value, time.Time{}, cond)
			if tutti.IsKind(err, tutti.KindConflict) { // another process was first
				continue
			}
			if err != nil {
				return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
			}
		}
		if note.Replaced != 0 {
			a.replaced = time.Unix(note.Replaced, 0).UTC()
		}
		return key, nil
	}
}

// lostKey is what to do when there is nothing to copy.
const lostKey = "if no node has it any more, say `tutti fleet forget-secret`, after which the first node to start makes a new one"

// ForgetKey makes the store forget which key file is the fleet's, for the case that it is lost: the next process to
// start makes its own the one that counts. Users' tokens then work again after they have signed in with their password
// once; passwords and app keys are not touched.
func ForgetKey(ctx context.Context, s store.Store, c clock.Clock) error {
	const op = "accounts.ForgetKey"
	value, err := json.Marshal(keyNote{Replaced: c.Now().Unix()})
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, op, err)
	}
	_, err = s.Put(ctx, keyNoteKey, value, time.Time{}, store.Always)
	return tutti.Wrap(tutti.KindUnavailable, op, err)
}

// keyNote returns what the store remembers of the key, and the condition under which that is so.
func (a *Accounts) keyNote(ctx context.Context) (note keyNote, cond store.Condition, err error) {
	it, err := a.store.Get(ctx, keyNoteKey)
	switch {
	case tutti.IsKind(err, tutti.KindNotFound):
		return note, store.IfAbsent, nil
	case err != nil:
		return note, cond, err
	}
	if err := json.Unmarshal(it.Value, &note); err != nil {
		return note, cond, tutti.Wrap(tutti.KindInternal, "accounts.keyNote", fmt.Errorf("read what is known of the key: %w", err))
	}
	return note, store.IfVersion(it.Version), nil
}
