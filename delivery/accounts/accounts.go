// Package accounts keeps users and their secrets, and guards the doors: it implements tutti.Accounts and tutti.Door on
// any store.Store.
//
// # Secrets
//
// A user's password is kept twice. Its argon2id hash is what the page's sign-in checks. OpenSubsonic's token is
// md5(password + salt), which can only be checked by who knows the password, so the password is also kept encrypted
// (AES-256-GCM) under a key that lies in a file outside the database; whoever steals the database alone gets only
// hashes. A password sent with each /rest request is compared with the decrypted one as well, because an argon2id each
// would cost 30 ms of CPU a request. Decrypted passwords stay in the memory of the process, for users seen lately.
//
// App keys and sessions are random and long (130 and 256 bits), so a plain SHA-256 of them is kept and nothing else.
//
// If the key file is lost, passwords and app keys still work and tokens do not; each user's tokens work again after
// they have signed in with their password once, because that encrypts it under the new key.
//
// # Several processes
//
// What this process changes it sees at once. Accounts, keys and sessions are otherwise taken from memory for up to a
// second before the store is asked again, so a change made by another process (another delivery node, `tutti user`)
// takes effect within a second. In a fleet changes are announced, and who was read of lately need not be asked for again
// while none of theirs is; see watch. All processes must have the same key file; see Config.Shared.
//
// While the store is away, whoever it last spoke well of in the five minutes before is let in from memory, so that the
// music plays on; nobody signs in anew and nothing can be changed. Whom this process knows to have been shown out stays
// out. An admission writes nothing, but when a session or an app key was last used, to the hour.
//
// Failed sign-ins are counted in each process, and those from one network by all processes of a fleet together; see
// ledger.
package accounts

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// Config is what Accounts are made of.
type Config struct {
	Store   store.Store
	Clock   clock.Clock
	Logger  *slog.Logger // nil: slog.Default()
	KeyFile string       // where the key that encrypts recoverable secrets lies; made on first use

	// Shared says that other processes let people in by the same store. Then the key file must be the one that they
	// have: New returns KindInvalid, and a message that says what to copy, for another one, or for none where there is one
	// already. Without Shared, a key file that was lost is made anew.
	Shared bool
}

// Accounts implements tutti.Accounts and tutti.Door. It starts no goroutines and needs no closing; see Run.
type Accounts struct {
	store    store.Store
	clock    clock.Clock
	logger   *slog.Logger
	hasher   *hasher
	vault    *vault
	limiter  *limiter
	ledger   *ledger   // nil: not shared
	watch    *watch    // likewise
	replaced time.Time // when the key file was last found replaced; zero: never
	dummy    record    // stands in for users that do not exist, so that looking for them takes as long

	users    memory[string, *account]
	sessions memory[string, *session] // by the hash of their secret
	appKeys  memory[string, *appKey]  // by the hash of their secret

	admins sync.Mutex // held while a change may take the last admin away
}

var (
	_ tutti.Accounts = (*Accounts)(nil)
	_ tutti.Door     = (*Accounts)(nil)
)

// New opens the accounts in a store. It makes the key file if there is none, and returns KindInvalid if the file is
// damaged or, of a fleet, not the fleet's, and KindUnavailable if it or the store cannot be read.
func New(ctx context.Context, c Config) (*Accounts, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	a := &Accounts{
		store:   c.Store,
		clock:   c.Clock,
		logger:  c.Logger,
		hasher:  newHasher(),
		limiter: newLimiter(c.Clock),
	}
	a.users.clock, a.sessions.clock, a.appKeys.clock = c.Clock, c.Clock, c.Clock
	key, err := a.openVault(ctx, c)
	if err != nil {
		return nil, err
	}
	if c.Shared {
		a.ledger = newLedger(a, key)
		a.watch = newWatch(c)
		a.users.watch, a.sessions.watch, a.appKeys.watch = a.watch, a.watch, a.watch
		a.users.whose = func(acc *account) (tutti.ID, bool) { return acc.ID, acc.exists }
		a.sessions.whose = func(s *session) (tutti.ID, bool) { return s.user, true }
		a.appKeys.whose = func(k *appKey) (tutti.ID, bool) { return k.user, true }
	}
	p := cost
	p.salt, p.hash = make([]byte, saltLen), make([]byte, hashLen)
	rand.Read(p.salt) // never fails: crypto/rand ends the program instead
	rand.Read(p.hash)
	a.dummy = record{ID: tutti.NewID(tutti.PrefixUser, 0), Hash: p.String()}
	a.dummy.Sealed = a.vault.seal(a.dummy.ID, rand.Text())
	return a, nil
}

// record is a user's item: partition usersPK, sort key the folded name, so that a name is taken by one conditional write.
type record struct {
	ID         tutti.ID     `json:"id"`
	Name       string       `json:"name"`
	Email      string       `json:"email,omitempty"`
	Roles      []tutti.Role `json:"roles"`
	Libraries  []string     `json:"libraries"` // null: all
	MaxBitRate int          `json:"maxBitRate,omitempty"`
	Scrobbling bool         `json:"scrobbling,omitempty"`
	Created    int64        `json:"created"` // Unix milliseconds
	Changed    int64        `json:"changed"`
	Hash       string       `json:"hash"`   // PHC string
	Sealed     []byte       `json:"sealed"` // the password, by vault.seal
	Epoch      uint64       `json:"epoch"`  // counts changes of the password; a session of another epoch is over
}

const (
	usersPK = "accounts/users"
	idsPK   = "accounts/ids" // sort key: a user's id; value: the folded name. What it points to is checked, so a stale one does no harm
)

func (r *record) user() tutti.User {
	return tutti.User{
		ID: r.ID, Name: r.Name, Email: r.Email, Roles: slices.Clone(r.Roles), Libraries: slices.Clone(r.Libraries),
		MaxBitRate: r.MaxBitRate, Scrobbling: r.Scrobbling,
		Created: time.UnixMilli(r.Created).UTC(), Changed: time.UnixMilli(r.Changed).UTC(),
	}
}

// account is a user as held in memory. It is never changed once made.
type account struct {
	record
	key     string // folded name
	exists  bool   // false: nobody has this name, and the record is the dummy
	version uint64
	secret  string // the password
	opened  error  // why secret is not known
}

// load returns who has a folded name. For a name that nobody has it returns an account that does not exist, after the
// same work. fresh asks the store even if memory has the answer.
func (a *Accounts) load(ctx context.Context, key string, fresh bool) (*account, error) {
	return a.users.get(ctx, key, fresh, func(ctx context.Context, old *account) (*account, error) {
		it, err := a.store.Get(ctx, store.Key{PK: usersPK, SK: key})
		acc := &account{record: a.dummy, key: key}
		switch {
		case tutti.IsKind(err, tutti.KindNotFound):
		case err != nil:
			return nil, err
		case old != nil && old.exists && old.version == it.Version && old.opened == nil:
			return old, nil
		default:
			acc = &account{key: key, exists: true, version: it.Version}
			if err := json.Unmarshal(it.Value, &acc.record); err != nil {
				return nil, tutti.Wrap(tutti.KindInternal, "accounts.load", fmt.Errorf("read a user: %w", err))
			}
		}
		acc.secret, acc.opened = a.vault.open(acc.ID, acc.Sealed)
		return acc, nil
	})
}

func noUser(op string) error {
	return tutti.Errorf(tutti.KindNotFound, op, "there is no such user")
}

// existing returns the user with a folded name, fresh from the store.
func (a *Accounts) existing(ctx context.Context, op, key string) (*account, error) {
	acc, err := a.load(ctx, key, true)
	if err == nil && !acc.exists {
		err = noUser(op)
	}
	return acc, err
}

// save writes a changed record if nobody has changed the user since.
func (a *Accounts) save(ctx context.Context, key string, r record, cond store.Condition) error {
	value, err := json.Marshal(r)
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, "accounts.save", err)
	}
	if !cond.Absent() { // a new user is known to nobody
		within, cancel, err := a.watch.announce(ctx, r.ID)
		defer cancel()
		if err != nil {
			return err
		}
		ctx = within
	}
	_, err = a.store.Put(ctx, store.Key{PK: usersPK, SK: key}, value, time.Time{}, cond)
	a.users.forget(key)
	return err
}

// Run keeps an eye on what other processes of a fleet change, while people come to the door, so that they need not wait
// for the store. It returns nil when ctx ends. Without it, and where Config.Shared is not set, everything is asked of the
// store when the last word of it is older than a second.
func (a *Accounts) Run(ctx context.Context) error {
	if a.watch == nil {
		<-ctx.Done()
		return nil
	}
	return a.watch.run(ctx)
}

// remove deletes an item that lets a user in.
func (a *Accounts) remove(ctx context.Context, user tutti.ID, key store.Key, cond store.Condition) error {
	within, cancel, err := a.watch.announce(ctx, user)
	defer cancel()
	if err != nil {
		return err
	}
	return a.store.Delete(within, key, cond)
}

// retries is how often a change is tried again when somebody else changed the same item meanwhile.
const retries = 8

// change applies fn to a user's record and saves it.
func (a *Accounts) change(ctx context.Context, op, key string, fn func(acc *account, r *record) error) (record, error) {
	for try := 0; ; try++ {
		acc, err := a.existing(ctx, op, key)
		if err != nil {
			return record{}, err
		}
		r := acc.record
		if err := fn(acc, &r); err != nil {
			return record{}, err
		}
		err = a.save(ctx, key, r, store.IfVersion(acc.version))
		if err == nil || !tutti.IsKind(err, tutti.KindConflict) || try == retries {
			return r, err
		}
	}
}

// eachUser calls fn for every user in the order of folded names.
func (a *Accounts) eachUser(ctx context.Context, fn func(key string, r *record) error) error {
	return a.each(ctx, usersPK, func(it store.Item) error {
		var r record
		if err := json.Unmarshal(it.Value, &r); err != nil {
			return tutti.Wrap(tutti.KindInternal, "accounts.eachUser", fmt.Errorf("read a user: %w", err))
		}
		return fn(it.SK, &r)
	})
}

// each calls fn for every item of a partition.
func (a *Accounts) each(ctx context.Context, pk string, fn func(store.Item) error) error {
	after := ""
	for {
		p, err := a.store.Query(ctx, pk, "", after, store.MaxPage)
		if err != nil {
			return err
		}
		for _, it := range p.Items {
			if err := fn(it); err != nil {
				return err
			}
		}
		if after = p.Next; after == "" {
			return nil
		}
	}
}

// Users implements tutti.Accounts.
func (a *Accounts) Users(ctx context.Context) ([]tutti.User, error) {
	users := []tutti.User{}
	err := a.eachUser(ctx, func(_ string, r *record) error {
		users = append(users, r.user())
		return nil
	})
	return users, err
}

// User implements tutti.Accounts.
func (a *Accounts) User(ctx context.Context, name string) (tutti.User, error) {
	const op = "accounts.User"
	key, ok := fold(name)
	if !ok {
		return tutti.User{}, noUser(op)
	}
	acc, err := a.load(ctx, key, false)
	if err != nil {
		return tutti.User{}, err
	}
	if !acc.exists {
		return tutti.User{}, noUser(op)
	}
	return acc.user(), nil
}

// UserByID implements tutti.Accounts.
func (a *Accounts) UserByID(ctx context.Context, id tutti.ID) (tutti.User, error) {
	acc, err := a.byID(ctx, "accounts.UserByID", id)
	if err != nil {
		return tutti.User{}, err
	}
	return acc.user(), nil
}

// byID returns the user with the id, or KindNotFound.
func (a *Accounts) byID(ctx context.Context, op string, id tutti.ID) (*account, error) {
	if !id.Is(tutti.PrefixUser) {
		return nil, noUser(op)
	}
	it, err := a.store.Get(ctx, store.Key{PK: idsPK, SK: string(id)})
	if tutti.IsKind(err, tutti.KindNotFound) {
		return nil, noUser(op)
	}
	if err != nil {
		return nil, err
	}
	return a.owner(ctx, op, id, string(it.Value))
}

// owner returns the user with the folded name if it still is the one with the id.
func (a *Accounts) owner(ctx context.Context, op string, id tutti.ID, key string) (*account, error) {
	acc, err := a.load(ctx, key, false)
	if err != nil {
		return nil, err
	}
	if !acc.exists || acc.ID != id {
		return nil, noUser(op)
	}
	return acc, nil
}

var allRoles = []tutti.Role{
	tutti.RoleAdmin, tutti.RoleStream, tutti.RoleDownload, tutti.RoleShare, tutti.RolePlaylist, tutti.RoleCover, tutti.RoleComment,
}

const (
	maxEmail     = 254  // bytes; RFC 5321 §4.5.3.1.3
	maxLibraries = 1000 // of a user
)

func checkUser(op string, u tutti.User) error {
	for _, r := range u.Roles {
		if !slices.Contains(allRoles, r) {
			return tutti.Errorf(tutti.KindInvalid, op, "there is no role %q; the roles are %v", r, allRoles)
		}
	}
	switch {
	case len(u.Email) > maxEmail || !utf8.ValidString(u.Email) || strings.ContainsAny(u.Email, "\x00\r\n"):
		return tutti.Errorf(tutti.KindInvalid, op, "the e-mail address is too long or has characters in it that do not belong there")
	case u.MaxBitRate < 0 || u.MaxBitRate > 1_000_000:
		return tutti.Errorf(tutti.KindInvalid, op, "the highest bit rate is in kbit/s, from 0 (no limit) to 1000000")
	case len(u.Libraries) > maxLibraries:
		return tutti.Errorf(tutti.KindInvalid, op, "a user may be given at most %d libraries by name", maxLibraries)
	}
	return nil
}

func (r *record) set(u tutti.User, now time.Time) {
	roles := slices.Clone(u.Roles)
	slices.Sort(roles)
	r.Email, r.Roles, r.Libraries = u.Email, slices.Compact(roles), slices.Clone(u.Libraries)
	r.MaxBitRate, r.Scrobbling, r.Changed = u.MaxBitRate, u.Scrobbling, now.UnixMilli()
}

func (r *record) admin() bool { return slices.Contains(r.Roles, tutti.RoleAdmin) }

func randomUint64() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return binary.BigEndian.Uint64(b[:])
}

// CreateUser implements tutti.Accounts.
func (a *Accounts) CreateUser(ctx context.Context, u tutti.User, password string) (tutti.User, error) {
	const op = "accounts.CreateUser"
	spelled, key, err := checkName(op, u.Name)
	if err != nil {
		return tutti.User{}, err
	}
	if err := checkUser(op, u); err != nil {
		return tutti.User{}, err
	}
	if err := checkPassword(op, password); err != nil {
		return tutti.User{}, err
	}
	now := a.clock.Now()
	r := record{ID: tutti.NewID(tutti.PrefixUser, randomUint64()), Name: spelled, Created: now.UnixMilli()}
	r.set(u, now)
	if r.Hash, err = a.hasher.hash(ctx, password); err != nil {
		return tutti.User{}, err
	}
	r.Sealed = a.vault.seal(r.ID, password)
	// The id first: if the process dies in between, an id that leads nowhere is harmless, and a user without one is not.
	idKey := store.Key{PK: idsPK, SK: string(r.ID)}
	if _, err := a.store.Put(ctx, idKey, []byte(key), time.Time{}, store.IfAbsent); err != nil {
		return tutti.User{}, err
	}
	if err := a.save(ctx, key, r, store.IfAbsent); err != nil {
		if tutti.IsKind(err, tutti.KindConflict) {
			err = tutti.Errorf(tutti.KindConflict, op, "there is a user of that name already")
			if e := a.store.Delete(ctx, idKey, store.Always); e != nil {
				a.logger.Warn("could not remove the id of a user that was not made", "error", e)
			}
		}
		return tutti.User{}, err
	}
	return r.user(), nil
}

// UpdateUser implements tutti.Accounts. It finds the user by name; an ID, if there is one, must be theirs. Two
// processes that take admins away at the same moment are not kept from taking the last two.
func (a *Accounts) UpdateUser(ctx context.Context, u tutti.User) (tutti.User, error) {
	const op = "accounts.UpdateUser"
	key, ok := fold(u.Name)
	if !ok {
		return tutti.User{}, noUser(op)
	}
	if err := checkUser(op, u); err != nil {
		return tutti.User{}, err
	}
	a.admins.Lock()
	defer a.admins.Unlock()
	r, err := a.change(ctx, op, key, func(_ *account, r *record) error {
		if u.ID != "" && u.ID != r.ID {
			return noUser(op)
		}
		was := r.admin()
		r.set(u, a.clock.Now())
		if was && !r.admin() {
			return a.checkOtherAdmin(ctx, op, r.ID)
		}
		return nil
	})
	if err != nil {
		return tutti.User{}, err
	}
	return r.user(), nil
}

// checkOtherAdmin returns KindConflict if nobody but the user is an admin.
func (a *Accounts) checkOtherAdmin(ctx context.Context, op string, id tutti.ID) error {
	other := false
	err := a.eachUser(ctx, func(_ string, r *record) error {
		other = other || (r.admin() && r.ID != id)
		return nil
	})
	if err == nil && !other {
		err = tutti.Errorf(tutti.KindConflict, op, "this is the only admin; make another user an admin first")
	}
	return err
}

// DeleteUser implements tutti.Accounts. The user's sessions and app keys end with the user; what they starred and
// made is the catalogue's and stays.
func (a *Accounts) DeleteUser(ctx context.Context, name string) error {
	const op = "accounts.DeleteUser"
	key, ok := fold(name)
	if !ok {
		return noUser(op)
	}
	a.admins.Lock()
	defer a.admins.Unlock()
	acc, err := a.existing(ctx, op, key)
	if err != nil {
		return err
	}
	if acc.admin() {
		if err := a.checkOtherAdmin(ctx, op, acc.ID); err != nil {
			return err
		}
	}
	err = a.remove(ctx, acc.ID, store.Key{PK: usersPK, SK: key}, store.IfVersion(acc.version))
	a.users.forget(key)
	if err != nil {
		return err
	}
	// The rest is of no use to anybody without the user; it goes so that it takes no room.
	for _, pk := range []string{sessionsPK(acc.ID), appKeysPK(acc.ID)} {
		if err := a.deletePartition(ctx, pk); err != nil {
			return err
		}
	}
	return a.store.Delete(ctx, store.Key{PK: idsPK, SK: string(acc.ID)}, store.Always)
}

func (a *Accounts) deletePartition(ctx context.Context, pk string) error {
	return a.each(ctx, pk, func(it store.Item) error { return a.store.Delete(ctx, it.Key, store.Always) })
}

// SetPassword implements tutti.Accounts.
func (a *Accounts) SetPassword(ctx context.Context, name, password string) error {
	const op = "accounts.SetPassword"
	key, ok := fold(name)
	if !ok {
		return noUser(op)
	}
	if err := checkPassword(op, password); err != nil {
		return err
	}
	hash, err := a.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	r, err := a.change(ctx, op, key, func(_ *account, r *record) error {
		r.Hash, r.Sealed, r.Changed = hash, a.vault.seal(r.ID, password), a.clock.Now().UnixMilli()
		r.Epoch++ // ends all sessions in one write
		return nil
	})
	if err != nil {
		return err
	}
	return a.deletePartition(ctx, sessionsPK(r.ID))
}

// EnsureAdmin makes the first admin if there are no users at all. With an empty password it makes one up and
// returns it, to be shown once. Where there are users already it does nothing.
func (a *Accounts) EnsureAdmin(ctx context.Context, name, password string) (created bool, generated string, err error) {
	p, err := a.store.Query(ctx, usersPK, "", "", 1)
	if err != nil || len(p.Items) > 0 || p.Next != "" {
		return false, "", err
	}
	if password == "" {
		password = randomDigits(20) // 100 bits
		password = strings.Join([]string{password[:5], password[5:10], password[10:15], password[15:]}, "-")
		generated = password
	}
	_, err = a.CreateUser(ctx, tutti.User{Name: name, Roles: allRoles, Scrobbling: true}, password)
	if tutti.IsKind(err, tutti.KindConflict) { // another process was first
		return false, "", nil
	}
	if err != nil {
		return false, "", err
	}
	return true, generated, nil
}

// digits is Crockford's base32 in lower case, as in tutti.ID.
const digits = "0123456789abcdefghjkmnpqrstvwxyz"

// randomDigits returns n random digits of five bits each.
func randomDigits(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	for i, c := range b {
		b[i] = digits[c&31]
	}
	return string(b)
}

// randomSecret returns 256 random bits in base64url.
func randomSecret() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}
