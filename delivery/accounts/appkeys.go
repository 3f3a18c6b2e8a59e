package accounts

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tutti"
	"tutti/store"
)

// An app key's secret is "tutti_", the user's id and the key's own, which say where to look, and 130 random bits.
const (
	keyPrefix   = "tutti_"
	keyUserLen  = 13 // digits, of tutti.ID
	keyIDLen    = 8
	keySecret   = 26
	maxKeyName  = 64  // characters
	maxKeys     = 100 // of a user
	keyTotalLen = len(keyPrefix) + keyUserLen + keyIDLen + keySecret
)

// appKey is a key's item: partition appKeysPK of the user, sort key the key's id.
type appKey struct {
	Name     string `json:"name"`
	User     string `json:"user"` // the user's name, folded
	Hash     string `json:"hash"` // SHA-256 of the secret
	Created  int64  `json:"created"`
	LastUsed int64  `json:"lastUsed,omitempty"` // Unix seconds; 0: never

	user    tutti.ID
	id      string
	version uint64
}

func appKeysPK(user tutti.ID) string { return "accounts/app-keys/" + string(user) }

func (k *appKey) words() tutti.AppKey {
	w := tutti.AppKey{ID: k.id, Name: k.Name, Created: time.Unix(k.Created, 0).UTC()}
	if k.LastUsed != 0 {
		w.LastUsed = time.Unix(k.LastUsed, 0).UTC()
	}
	return w
}

func readAppKey(user tutti.ID, it store.Item) (*appKey, error) {
	k := &appKey{user: user, id: it.SK, version: it.Version}
	if err := json.Unmarshal(it.Value, k); err != nil {
		return nil, tutti.Wrap(tutti.KindInternal, "accounts.readAppKey", fmt.Errorf("read an app key: %w", err))
	}
	return k, nil
}

func (a *Accounts) writeAppKey(ctx context.Context, k *appKey, cond store.Condition) error {
	value, err := json.Marshal(k)
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, "accounts.writeAppKey", err)
	}
	k.version, err = a.store.Put(ctx, store.Key{PK: appKeysPK(k.user), SK: k.id}, value, time.Time{}, cond)
	return err
}

// parseAppKey takes a secret apart.
func parseAppKey(secret string) (user tutti.ID, id string, ok bool) {
	if len(secret) != keyTotalLen || !strings.HasPrefix(secret, keyPrefix) {
		return "", "", false
	}
	rest := secret[len(keyPrefix):]
	for i := range len(rest) {
		if strings.IndexByte(digits, rest[i]) < 0 {
			return "", "", false
		}
	}
	user = tutti.ID(tutti.PrefixUser + rest[:keyUserLen])
	return user, rest[keyUserLen : keyUserLen+keyIDLen], user.Is(tutti.PrefixUser)
}

func (a *Accounts) admitAppKey(ctx context.Context, c tutti.Credentials) (tutti.User, error) {
	const op = "accounts.Admit"
	at := a.attempt(tutti.Credentials{From: c.From}, c.AppKey, false)
	if err := a.holdUp(ctx, op, at); err != nil {
		return tutti.User{}, err
	}
	k, acc, err := a.appKey(ctx, c.AppKey)
	if tutti.IsKind(err, tutti.KindNotFound) {
		return tutti.User{}, a.refuse(ctx, op, at, wrongKey)
	}
	if err != nil {
		return tutti.User{}, err
	}
	a.limiter.succeeded(at)
	if now := a.clock.Now(); now.Sub(time.Unix(k.LastUsed, 0)) >= seenEvery {
		used := *k
		used.LastUsed = now.Unix()
		err := a.note(ctx, func(ctx context.Context) error { return a.writeAppKey(ctx, &used, store.IfVersion(k.version)) })
		switch {
		case err == nil:
			a.appKeys.replace(k.Hash, k, &used)
		case tutti.IsKind(err, tutti.KindConflict): // somebody else has just done so, or revoked it
			a.appKeys.forget(k.Hash)
		default: // a full disk must not keep anybody out
			a.logger.Warn("could not note the use of an app key", "user", acc.ID, "key", k.id, "error", err)
			used.version = k.version // until the store is asked again, it is not tried again
			a.appKeys.replace(k.Hash, k, &used)
		}
	}
	return acc.user(), nil
}

// appKey returns the key with the secret and its user, or KindNotFound.
func (a *Accounts) appKey(ctx context.Context, secret string) (*appKey, *account, error) {
	const op = "accounts.appKey"
	none := tutti.Errorf(tutti.KindNotFound, op, wrongKey)
	user, id, ok := parseAppKey(secret)
	if !ok {
		return nil, nil, none
	}
	hash := hashSecret(secret)
	k, err := a.appKeys.get(ctx, hash, false, func(ctx context.Context, _ *appKey) (*appKey, error) {
		it, err := a.store.Get(ctx, store.Key{PK: appKeysPK(user), SK: id})
		if err != nil {
			return nil, err
		}
		k, err := readAppKey(user, it)
		if err == nil && subtle.ConstantTimeCompare([]byte(k.Hash), []byte(hash)) != 1 {
			err = none
		}
		return k, err
	})
	if err != nil {
		return nil, nil, err
	}
	acc, err := a.owner(ctx, op, user, k.User)
	return k, acc, err
}

// AppKeys implements tutti.Accounts: the latest first.
func (a *Accounts) AppKeys(ctx context.Context, user tutti.ID) ([]tutti.AppKey, error) {
	if _, err := a.UserByID(ctx, user); err != nil {
		return nil, err
	}
	keys := []tutti.AppKey{}
	err := a.each(ctx, appKeysPK(user), func(it store.Item) error {
		k, err := readAppKey(user, it)
		if err == nil {
			keys = append(keys, k.words())
		}
		return err
	})
	sortByTime(keys, func(k tutti.AppKey) time.Time { return k.Created })
	return keys, err
}

// CreateAppKey implements tutti.Accounts. It returns KindInvalid for a name that is empty or too long and
// KindExhausted for a user who has a hundred keys.
func (a *Accounts) CreateAppKey(ctx context.Context, user tutti.ID, name string) (tutti.AppKey, string, error) {
	const op = "accounts.CreateAppKey"
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > maxKeyName || !utf8.ValidString(name) || strings.ContainsAny(name, "\x00\r\n") {
		return tutti.AppKey{}, "", tutti.Errorf(tutti.KindInvalid, op, "an app key's name has 1 to %d characters; name it after the app and the device", maxKeyName)
	}
	keys, err := a.AppKeys(ctx, user)
	if err != nil {
		return tutti.AppKey{}, "", err
	}
	if len(keys) >= maxKeys {
		return tutti.AppKey{}, "", tutti.Errorf(tutti.KindExhausted, op, "there are %d app keys already; revoke those that are not used", len(keys))
	}
	acc, err := a.byID(ctx, op, user)
	if err != nil {
		return tutti.AppKey{}, "", err
	}
	for {
		k := &appKey{Name: name, User: acc.key, Created: a.clock.Now().Unix(), user: user, id: randomDigits(keyIDLen)}
		secret := keyPrefix + strings.TrimPrefix(string(user), tutti.PrefixUser) + k.id + randomDigits(keySecret)
		k.Hash = hashSecret(secret)
		err := a.writeAppKey(ctx, k, store.IfAbsent)
		if tutti.IsKind(err, tutti.KindConflict) { // the id is taken, once in 10^12
			continue
		}
		if err != nil {
			return tutti.AppKey{}, "", err
		}
		return k.words(), secret, nil
	}
}

// RevokeAppKey implements tutti.Accounts. It returns KindNotFound where the user has no such key.
func (a *Accounts) RevokeAppKey(ctx context.Context, user tutti.ID, keyID string) error {
	gone := tutti.Errorf(tutti.KindNotFound, "accounts.RevokeAppKey", "there is no such app key")
	if !user.Is(tutti.PrefixUser) || len(keyID) != keyIDLen {
		return gone
	}
	key := store.Key{PK: appKeysPK(user), SK: keyID}
	if store.CheckKey(key) != nil {
		return gone
	}
	it, err := a.store.Get(ctx, key)
	if tutti.IsKind(err, tutti.KindNotFound) {
		return gone
	}
	if err != nil {
		return err
	}
	k, err := readAppKey(user, it)
	if err != nil {
		return err
	}
	err = a.remove(ctx, user, key, store.Always)
	a.appKeys.forget(k.Hash)
	return err
}

func sortByTime[T any](s []T, at func(T) time.Time) {
	slices.SortStableFunc(s, func(x, y T) int { return at(y).Compare(at(x)) })
}
