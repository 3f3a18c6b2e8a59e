package sendspin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/flynn/noise"

	"tutti"
	"tutti/store"
)

// keyring has the server's identity and what it shares with clients that it was paired with. They are in the store, where
// all processes of a fleet find them: a server with another identity is a stranger to every client.
type keyring struct {
	store store.Store
	self  noise.DHKey
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
	k := &keyring{store: s}
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
	return k, nil
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
func (k *keyring) of(ctx context.Context, client string) (r record, paired bool, err error) {
	item, err := k.store.Get(ctx, recordKey(client))
	if tutti.IsKind(err, tutti.KindNotFound) {
		return record{}, false, nil
	}
	if err == nil {
		err = json.Unmarshal(item.Value, &r)
	}
	if err != nil {
		return record{}, false, tutti.Wrap(tutti.KindOf(err), "sendspin.keys", err)
	}
	return r, true, nil
}

// all returns the pairings.
func (k *keyring) all(ctx context.Context) ([]record, error) {
	const op = "sendspin.keys"
	var out []record
	for after := ""; ; {
		page, err := k.store.Query(ctx, partition, recordPrefix, after, store.MaxPage)
		if err != nil {
			return nil, tutti.Wrap(tutti.KindOf(err), op, err)
		}
		for _, item := range page.Items {
			var r record
			if err := json.Unmarshal(item.Value, &r); err != nil {
				return nil, tutti.Errorf(tutti.KindInternal, op, "the pairing %s cannot be read: %v", item.SK, err)
			}
			out = append(out, r)
		}
		if after = page.Next; after == "" {
			return out, nil
		}
	}
}

// keep writes a pairing down.
func (k *keyring) keep(ctx context.Context, r record) error {
	value, err := json.Marshal(r)
	if err != nil {
		return tutti.Errorf(tutti.KindInternal, "sendspin.pair", "%v", err)
	}
	if _, err := k.store.Put(ctx, recordKey(r.Client), value, time.Time{}, store.Always); err != nil {
		return tutti.Wrap(tutti.KindOf(err), "sendspin.pair", err)
	}
	return nil
}

// forget undoes keep.
func (k *keyring) forget(ctx context.Context, client string) error {
	if err := k.store.Delete(ctx, recordKey(client), store.Always); err != nil {
		return tutti.Wrap(tutti.KindOf(err), "sendspin.unpair", err)
	}
	return nil
}

func recordKey(client string) store.Key { return store.Key{PK: partition, SK: recordPrefix + client} }
