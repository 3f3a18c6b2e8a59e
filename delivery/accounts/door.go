package accounts

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"tutti"
	"tutti/store"
)

// refuse counts a failure and says so in words that are the same for every reason.
func (a *Accounts) refuse(ctx context.Context, op string, at attempt, message string) error {
	if a.limiter.failed(at) && a.ledger != nil {
		a.ledger.tell(ctx, at.addr)
	}
	return tutti.Errorf(tutti.KindUnauthorised, op, "%s", message)
}

// holdUp returns KindExhausted while the attempt has to wait.
func (a *Accounts) holdUp(ctx context.Context, op string, at attempt) error {
	if a.ledger != nil && !a.limiter.known(at) {
		a.ledger.ask(ctx, at.addr)
	}
	d := a.limiter.wait(at)
	if d <= 0 {
		return nil
	}
	seconds := int((d + time.Second - 1) / time.Second)
	return tutti.Errorf(tutti.KindExhausted, op, "too many failed sign-ins; try again in %d s", seconds)
}

const (
	wrongPassword = "wrong user name or password"
	wrongKey      = "this app key is not valid; make a new one"
	noSession     = "you are signed out; sign in again"
)

// wrongToken explains what no user can know: that tokens need the key file.
func (a *Accounts) wrongToken() string {
	if a.replaced.IsZero() {
		return wrongPassword
	}
	return wrongPassword + "; if it used to be right: this server's key file was replaced on " + a.replaced.Format(time.DateOnly) +
		", so sign in with your password once, on the page, or make an app key"
}

// Admit implements tutti.Door. Of several credentials the most explicit one counts and the others are not looked at: an
// app key, a token, a password, a session.
func (a *Accounts) Admit(ctx context.Context, c tutti.Credentials) (tutti.User, error) {
	switch {
	case c.AppKey != "":
		return a.admitAppKey(ctx, c)
	case c.Token != "", c.Password != "":
		return a.admitName(ctx, c)
	case c.Session != "":
		const op = "accounts.Admit"
		at := a.attempt(c, c.Session, false)
		if err := a.holdUp(ctx, op, at); err != nil {
			return tutti.User{}, err
		}
		s, err := a.Session(ctx, c.Session)
		if tutti.IsKind(err, tutti.KindUnauthorised) {
			return tutti.User{}, a.refuse(ctx, op, at, noSession)
		}
		if err != nil {
			return tutti.User{}, err
		}
		a.limiter.succeeded(at)
		return s.User, nil
	}
	return tutti.User{}, tutti.Errorf(tutti.KindUnauthorised, "accounts.Admit", "sign in first")
}

// note writes something that is good to know and that nobody waits for.
func (a *Accounts) note(ctx context.Context, write func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return write(ctx)
}

// attempt describes who is at the door. name is who they claim to be.
func (a *Accounts) attempt(c tutti.Credentials, name string, shared bool) attempt {
	return attempt{
		addr: network(c.From), name: a.limiter.hash(name), shared: shared,
		guess: a.limiter.hash(name, c.Password, c.Token, c.Salt),
	}
}

func (a *Accounts) admitName(ctx context.Context, c tutti.Credentials) (tutti.User, error) {
	const op = "accounts.Admit"
	// What is no name goes the same way as a name that nobody has.
	key, ok := fold(c.Name)
	if !ok {
		key = "\u200b" // which fold never returns
	}
	at := a.attempt(c, key, true)
	if err := a.holdUp(ctx, op, at); err != nil {
		return tutti.User{}, err
	}
	acc, err := a.load(ctx, key, false)
	if err != nil {
		return tutti.User{}, err
	}
	right, message := false, wrongPassword
	switch {
	case c.Token != "":
		right, message = acc.checkToken(c.Token, c.Salt), a.wrongToken()
	case acc.opened == nil:
		right = acc.checkPassword(c.Password)
	default:
		// The password cannot be recovered, so it is checked the slow way, and if it is right, kept anew.
		if right, _, err = a.hasher.verify(ctx, acc.Hash, c.Password); err != nil {
			return tutti.User{}, err
		}
		if right && acc.exists {
			a.renew(ctx, acc, c.Password, false)
		}
	}
	if !right || !acc.exists {
		return tutti.User{}, a.refuse(ctx, op, at, message)
	}
	a.limiter.succeeded(at)
	return acc.user(), nil
}

const maxSalt = 256 // bytes

// checkToken reports whether token is md5(password + salt) in hexadecimal, as OpenSubsonic defines it.
func (acc *account) checkToken(token, salt string) bool {
	if len(salt) > maxSalt {
		salt = ""
	}
	h := md5.New()
	h.Write([]byte(acc.secret))
	h.Write([]byte(salt))
	want := hex.AppendEncode(nil, h.Sum(nil))
	equal := subtle.ConstantTimeCompare([]byte(strings.ToLower(token)), want) == 1
	return equal && acc.opened == nil
}

// checkPassword compares hashes, so that not even the password's length can be timed.
func (acc *account) checkPassword(password string) bool {
	got, want := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(acc.secret))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && acc.opened == nil
}

// renew encrypts a password that was just proven right under the present key, and hashes it with the present parameters
// if rehash says so. A failure is logged: the user is right all the same, and it is tried again next time.
func (a *Accounts) renew(ctx context.Context, acc *account, password string, rehash bool) {
	hash := acc.Hash
	var err error
	if rehash {
		hash, err = a.hasher.hash(ctx, password)
	}
	if err == nil {
		r := acc.record
		r.Hash, r.Sealed = hash, a.vault.seal(r.ID, password)
		err = a.save(ctx, acc.key, r, store.IfVersion(acc.version))
	}
	if err != nil {
		a.logger.Warn("could not renew a user's secrets", "user", acc.ID, "error", err)
	}
}

// ---- Sessions ----

const (
	sessionLife  = 30 * 24 * time.Hour // from when it was last seen
	seenEvery    = time.Hour           // how exactly that is kept
	maxUserAgent = 256                 // bytes
)

// session is a session's item: partition sessionsPK of the user, sort key the hash of its secret.
type session struct {
	Name      string `json:"name"` // the user's, folded
	Epoch     uint64 `json:"epoch"`
	Created   int64  `json:"created"` // Unix seconds
	LastSeen  int64  `json:"lastSeen"`
	From      string `json:"from"`
	UserAgent string `json:"userAgent"`

	user    tutti.ID
	hash    string
	version uint64
	expires time.Time
}

func sessionsPK(user tutti.ID) string { return "accounts/sessions/" + string(user) }

const sessionIDLen = 16 // digits of the hash that name a session in lists; they tell nothing of the secret

func (s *session) words(u tutti.User) tutti.Session {
	return tutti.Session{
		ID: s.hash[:sessionIDLen], User: u, Created: time.Unix(s.Created, 0).UTC(), Expires: s.expires,
		LastSeen: time.Unix(s.LastSeen, 0).UTC(), From: s.From, UserAgent: s.UserAgent,
	}
}

func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func readSession(user tutti.ID, it store.Item) (*session, error) {
	s := &session{user: user, hash: it.SK, version: it.Version, expires: it.Expires}
	if err := json.Unmarshal(it.Value, s); err != nil {
		return nil, tutti.Wrap(tutti.KindInternal, "accounts.readSession", fmt.Errorf("read a session: %w", err))
	}
	return s, nil
}

func (a *Accounts) writeSession(ctx context.Context, s *session, cond store.Condition) error {
	value, err := json.Marshal(s)
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, "accounts.writeSession", err)
	}
	s.version, err = a.store.Put(ctx, store.Key{PK: sessionsPK(s.user), SK: s.hash}, value, s.expires, cond)
	return err
}

// SignIn implements tutti.Door. Only a password counts here. It is checked against its argon2id hash, and as long
// for a user that does not exist.
func (a *Accounts) SignIn(ctx context.Context, c tutti.Credentials, userAgent string) (tutti.Session, error) {
	const op = "accounts.SignIn"
	key, ok := fold(c.Name)
	if !ok {
		key = "\u200b" // which fold never returns
	}
	at := a.attempt(c, key, true)
	if err := a.holdUp(ctx, op, at); err != nil {
		return tutti.Session{}, err
	}
	acc, err := a.load(ctx, key, true)
	if err != nil {
		return tutti.Session{}, err
	}
	right, stale, err := a.hasher.verify(ctx, acc.Hash, c.Password)
	if err != nil {
		return tutti.Session{}, err
	}
	if !right || !acc.exists {
		return tutti.Session{}, a.refuse(ctx, op, at, wrongPassword)
	}
	a.limiter.succeeded(at)
	if stale || acc.opened != nil {
		a.renew(ctx, acc, c.Password, stale)
	}
	now := a.clock.Now()
	secret := sessionSecret(acc.ID)
	s := &session{
		Name: key, Epoch: acc.Epoch, Created: now.Unix(), LastSeen: now.Unix(),
		UserAgent: strings.ToValidUTF8(userAgent[:min(len(userAgent), maxUserAgent)], ""),
		user:      acc.ID, hash: hashSecret(secret), expires: now.Add(sessionLife).UTC().Truncate(time.Second),
	}
	if c.From.IsValid() {
		s.From = c.From.Unmap().String()
	}
	if err := a.writeSession(ctx, s, store.IfAbsent); err != nil {
		return tutti.Session{}, err
	}
	words := s.words(acc.user())
	words.Secret = secret
	return words, nil
}

// A session's secret is the user's id, which says where to look, a dot, and 256 random bits.
func sessionSecret(user tutti.ID) string {
	return strings.TrimPrefix(string(user), tutti.PrefixUser) + "." + randomSecret()
}

func parseSessionSecret(secret string) (user tutti.ID, ok bool) {
	number, random, _ := strings.Cut(secret, ".")
	user = tutti.ID(tutti.PrefixUser + number)
	return user, len(random) == 43 && user.Is(tutti.PrefixUser)
}

// Session implements tutti.Door. It counts no failures, since it does not know who asks; for a request from outside
// use Admit.
func (a *Accounts) Session(ctx context.Context, secret string) (tutti.Session, error) {
	const op = "accounts.Session"
	over := tutti.Errorf(tutti.KindUnauthorised, op, noSession)
	s, acc, err := a.session(ctx, secret)
	if tutti.IsKind(err, tutti.KindNotFound) {
		return tutti.Session{}, over
	}
	if err != nil {
		return tutti.Session{}, err
	}
	now := a.clock.Now()
	if !s.expires.After(now) {
		return tutti.Session{}, over
	}
	if now.Sub(time.Unix(s.LastSeen, 0)) >= seenEvery {
		seen := *s
		seen.LastSeen, seen.expires = now.Unix(), now.Add(sessionLife).UTC().Truncate(time.Second)
		err := a.note(ctx, func(ctx context.Context) error { return a.writeSession(ctx, &seen, store.IfVersion(s.version)) })
		switch {
		case err == nil:
			a.sessions.replace(s.hash, s, &seen)
			s = &seen
		case tutti.IsKind(err, tutti.KindConflict): // somebody else has just done so, or ended it: the next request will see
			a.sessions.forget(s.hash)
		default: // a full disk must not sign anybody out
			a.logger.Warn("could not prolong a session", "user", acc.ID, "error", err)
			seen.version, seen.expires = s.version, s.expires // until the store is asked again, it is not tried again
			a.sessions.replace(s.hash, s, &seen)
		}
	}
	return s.words(acc.user()), nil
}

// session returns the session with the secret and its user, or KindNotFound. It does not look at the time.
func (a *Accounts) session(ctx context.Context, secret string) (*session, *account, error) {
	const op = "accounts.session"
	user, ok := parseSessionSecret(secret)
	if !ok {
		return nil, nil, tutti.Errorf(tutti.KindNotFound, op, noSession)
	}
	hash := hashSecret(secret)
	s, err := a.sessions.get(ctx, hash, false, func(ctx context.Context, _ *session) (*session, error) {
		it, err := a.store.Get(ctx, store.Key{PK: sessionsPK(user), SK: hash})
		if err != nil {
			return nil, err
		}
		return readSession(user, it)
	})
	if err != nil {
		return nil, nil, err
	}
	acc, err := a.owner(ctx, op, user, s.Name)
	if err != nil {
		return nil, nil, err
	}
	if acc.Epoch != s.Epoch {
		return nil, nil, tutti.Errorf(tutti.KindNotFound, op, noSession)
	}
	return s, acc, nil
}

// SignOut implements tutti.Door. Ending what is no session, or no longer one, is no error.
func (a *Accounts) SignOut(ctx context.Context, secret string) error {
	user, ok := parseSessionSecret(secret)
	if !ok {
		return nil
	}
	hash := hashSecret(secret)
	err := a.remove(ctx, user, store.Key{PK: sessionsPK(user), SK: hash}, store.Always)
	a.sessions.forget(hash)
	return err
}

// Sessions implements tutti.Door: the latest first.
func (a *Accounts) Sessions(ctx context.Context, user tutti.ID) ([]tutti.Session, error) {
	acc, err := a.byID(ctx, "accounts.Sessions", user)
	if err != nil {
		return nil, err
	}
	sessions := []tutti.Session{}
	err = a.each(ctx, sessionsPK(user), func(it store.Item) error {
		s, err := readSession(user, it)
		if err == nil && s.Epoch == acc.Epoch {
			sessions = append(sessions, s.words(acc.user()))
		}
		return err
	})
	sortByTime(sessions, func(s tutti.Session) time.Time { return s.LastSeen })
	return sessions, err
}

// RevokeSession implements tutti.Door. It returns KindNotFound where the user has no such session.
func (a *Accounts) RevokeSession(ctx context.Context, user tutti.ID, sessionID string) error {
	const op = "accounts.RevokeSession"
	gone := tutti.Errorf(tutti.KindNotFound, op, "there is no such session")
	if !user.Is(tutti.PrefixUser) || len(sessionID) != sessionIDLen || !utf8.ValidString(sessionID) || strings.ContainsRune(sessionID, 0) {
		return gone
	}
	p, err := a.store.Query(ctx, sessionsPK(user), sessionID, "", store.MaxPage)
	if err != nil {
		return err
	}
	if len(p.Items) == 0 {
		return gone
	}
	for _, it := range p.Items {
		err := a.remove(ctx, user, it.Key, store.Always)
		a.sessions.forget(it.SK)
		if err != nil {
			return err
		}
	}
	return nil
}
