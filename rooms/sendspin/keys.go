package sendspin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/flynn/noise"

	"tutti"
	"tutti/store"
)

// keyring has the server's identity and what it shares with clients that it was paired with. They outlive the process:
// a server with another identity is a stranger to every client.
type keyring struct {
	store store.Store
	self  noise.DHKey

	mu      sync.Mutex
	records map[string]record // by client_id
}

// record is a pairing: the key that a client and this server share.
type record struct {
	Client string    `json:"client"`
	Name   string    `json:"name"`
	Key    []byte    `json:"key"`
	Since  time.Time `json:"since"`
}

const (
	partition    = "sendspin"
	identityKey  = "identity"
	recordPrefix = "pairing#"
)

// openKeys reads the identity, or makes one where there is none.
func openKeys(ctx context.Context, s store.Store) (*keyring, error) {
	const op = "sendspin.keys"
	k := &keyring{store: s, records: map[string]record{}}
	at := store.Key{PK: partition, SK: identityKey}
	item, err := s.Get(ctx, at)
	if tutti.IsKind(err, tutti.KindNotFound) {
		made, err := noise.DH25519.GenerateKeypair(rand.Reader)
		if err != nil {
			return nil, tutti.Wrap(tutti.KindInternal, op, err)
		}
		_, err = s.Put(ctx, at, made.Private, time.Time{}, store.IfAbsent)
		if err != nil && !tutti.IsKind(err, tutti.KindConflict) {
			return nil, tutti.Wrap(tutti.KindOf(err), op, err)
		}
		item, err = s.Get(ctx, at) // another process may have been first
		if err != nil {
			return nil, tutti.Wrap(tutti.KindOf(err), op, err)
		}
	} else if err != nil {
		return nil, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	if k.self, err = keyOf(item.Value); err != nil {
		return nil, tutti.Wrap(tutti.KindInternal, op, err)
	}
	for after := ""; ; {
		page, err := s.Query(ctx, partition, recordPrefix, after, store.MaxPage)
		if err != nil {
			return nil, tutti.Wrap(tutti.KindOf(err), op, err)
		}
		for _, item := range page.Items {
			var r record
			if err := json.Unmarshal(item.Value, &r); err != nil {
				return nil, tutti.Errorf(tutti.KindInternal, op, "the pairing %s cannot be read: %v", item.SK, err)
			}
			k.records[r.Client] = r
		}
		if after = page.Next; after == "" {
			return k, nil
		}
	}
}

// keyOf is the pair of a private key.
func keyOf(private []byte) (noise.DHKey, error) {
	if len(private) != noise.DH25519.DHLen() {
		return noise.DHKey{}, fmt.Errorf("an identity of %d bytes", len(private))
	}
	public, err := noise.DH25519.DH(private, append([]byte{9}, make([]byte, 31)...)) // RFC 7748, section 6.1
	return noise.DHKey{Private: private, Public: public}, err
}

func (k *keyring) id() string { return base64url(k.self.Public) }

// of returns what is shared with a client.
func (k *keyring) of(client string) (record, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, ok := k.records[client]
	return r, ok
}

// keep makes a pairing outlive the process.
func (k *keyring) keep(ctx context.Context, r record) error {
	value, err := json.Marshal(r)
	if err != nil {
		return tutti.Errorf(tutti.KindInternal, "sendspin.pair", "%v", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, err := k.store.Put(ctx, store.Key{PK: partition, SK: recordPrefix + r.Client}, value, time.Time{}, store.Always); err != nil {
		return tutti.Wrap(tutti.KindOf(err), "sendspin.pair", err)
	}
	k.records[r.Client] = r
	return nil
}

// forget undoes keep.
func (k *keyring) forget(ctx context.Context, client string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.store.Delete(ctx, store.Key{PK: partition, SK: recordPrefix + client}, store.Always); err != nil {
		return tutti.Wrap(tutti.KindOf(err), "sendspin.unpair", err)
	}
	delete(k.records, client)
	return nil
}
