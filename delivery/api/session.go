package api

import (
	"net/http"
	"slices"
	"time"

	"tutti"
	"tutti/delivery"
)

// maxUserAgent is how much of a browser's name is kept with its session, in bytes.
const maxUserAgent = 300

type signIn struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

type sessionReply struct {
	User    user      `json:"user"`
	Expires time.Time `json:"expires,omitzero" doc:"When the session ends by itself; left out where an app key was shown instead."`
	Server  string    `json:"server" doc:"The server's version."`
}

type sessionEntry struct {
	ID        string    `json:"id"`
	Current   bool      `json:"current,omitempty" doc:"It is the one that asks."`
	Created   time.Time `json:"created"`
	Expires   time.Time `json:"expires"`
	LastSeen  time.Time `json:"lastSeen,omitzero" doc:"To the hour."`
	From      string    `json:"from,omitempty" doc:"The address of the sign-in."`
	UserAgent string    `json:"userAgent,omitempty"`
}

type newPassword struct {
	Current  string `json:"current" doc:"The password until now."`
	Password string `json:"password" doc:"The new one."`
}

type appKey struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"lastUsed,omitzero" doc:"To the hour; left out when never."`
}

type newAppKey struct {
	Name string `json:"name" doc:"Which app it is for."`
}

type madeAppKey struct {
	appKey
	Secret string `json:"secret" doc:"What the app is to send. It is shown this once."`
}

func wireAppKey(k *tutti.AppKey) appKey { return appKey(*k) }

func (s *server) sessionRoutes() []route {
	return []route{
		send(http.MethodPost, "session", "signIn", "session", "Sign in", anyone, (*call).signIn).
			saying("Sets the session cookie, which scripts cannot read and other sites cannot use. After several failures from one address or for one name the answer is 429 for a while."),
		get("session", "getSession", "session", "Who is signed in", member, (*call).session),
		act(http.MethodDelete, "session", "signOut", "session", "Sign out", anyone, (*call).signOut).
			saying("Also where nobody is signed in."),
		get("sessions", "listSessions", "session", "The asker's signed-in browsers", member, (*call).sessions),
		act(http.MethodDelete, "sessions/{id}", "revokeSession", "session", "Sign another browser out", member, (*call).revokeSession),
		put(http.MethodPut, "password", "changePassword", "session", "Change one's own password", member, (*call).changePassword).
			saying("Ends every session of the account; the browser that asks gets a new one at once."),
		get("keys", "listKeys", "session", "The asker's app keys", member, (*call).keys),
		send(http.MethodPost, "keys", "createKey", "session", "Make an app key", member, (*call).createKey),
		act(http.MethodDelete, "keys/{id}", "revokeKey", "session", "Revoke an app key", member, (*call).revokeKey),
	}
}

func (c *call) open(name, password string) (tutti.Session, error) {
	agent := c.r.UserAgent()
	session, err := c.Door.SignIn(c.r.Context(),
		tutti.Credentials{From: delivery.ClientAddr(c.r), Name: name, Password: password}, agent[:min(len(agent), maxUserAgent)])
	if err != nil {
		return session, err
	}
	setCookie(c, session.Secret, session)
	return session, nil
}

// setCookie gives the browser a session's secret, or with "" takes it away. SameSite=Strict costs nothing here: the page
// itself needs no cookie, and its own requests are always from the same site.
func setCookie(c *call, secret string, session tutti.Session) {
	cookie := &http.Cookie{
		Name: cookieName, Value: secret, Path: delivery.BasePath(c.r) + "/", Expires: session.Expires,
		HttpOnly: true, Secure: delivery.Secure(c.r), SameSite: http.SameSiteStrictMode,
	}
	if secret == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(c.w, cookie)
}

func (c *call) signIn(b signIn) (sessionReply, error) {
	session, err := c.open(b.Name, b.Password)
	if err != nil {
		return sessionReply{}, err
	}
	return sessionReply{wireUser(&session.User), session.Expires, c.Version}, nil
}

func (c *call) session() (sessionReply, error) {
	return sessionReply{wireUser(&c.who), c.login.Expires, c.Version}, nil
}

func (c *call) signOut() error {
	cookie, err := c.r.Cookie(cookieName)
	if err != nil {
		return nil // nobody is signed in, which is what was asked for
	}
	setCookie(c, "", tutti.Session{})
	if err := c.Door.SignOut(c.r.Context(), cookie.Value); err != nil &&
		!tutti.IsKind(err, tutti.KindUnauthorised) && !tutti.IsKind(err, tutti.KindNotFound) {
		return err
	}
	return nil
}

func (c *call) sessions() (items[sessionEntry], error) {
	list, err := c.Door.Sessions(c.r.Context(), c.who.ID)
	return items[sessionEntry]{wireList(list, func(e *tutti.Session) sessionEntry {
		return sessionEntry{
			ID: e.ID, Current: e.ID == c.login.ID, Created: e.Created, Expires: e.Expires, LastSeen: e.LastSeen,
			From: e.From, UserAgent: e.UserAgent,
		}
	})}, err
}

func (c *call) revokeSession() error {
	return c.Door.RevokeSession(c.r.Context(), c.who.ID, c.r.PathValue("id"))
}

func (c *call) changePassword(b newPassword) error {
	ctx := c.r.Context()
	// The old password is asked for so that a browser left open does not give the account away. Failures count at the
	// door like any other.
	if _, err := c.Door.Admit(ctx, tutti.Credentials{From: delivery.ClientAddr(c.r), Name: c.who.Name, Password: b.Current}); err != nil {
		if tutti.IsKind(err, tutti.KindUnauthorised) {
			return tutti.Errorf(tutti.KindForbidden, "api.changePassword", "the current password is not right")
		}
		return err
	}
	if err := c.Accounts.SetPassword(ctx, c.who.Name, b.Password); err != nil {
		return err
	}
	if c.login.ID == "" {
		return nil
	}
	_, err := c.open(c.who.Name, b.Password)
	return err
}

func (c *call) keys() (items[appKey], error) {
	list, err := c.Accounts.AppKeys(c.r.Context(), c.who.ID)
	return items[appKey]{wireList(list, wireAppKey)}, err
}

func (c *call) createKey(b newAppKey) (madeAppKey, error) {
	k, secret, err := c.Accounts.CreateAppKey(c.r.Context(), c.who.ID, b.Name)
	return madeAppKey{wireAppKey(&k), secret}, err
}

func (c *call) revokeKey() error {
	return c.Accounts.RevokeAppKey(c.r.Context(), c.who.ID, c.r.PathValue("id"))
}

// ---- Users ----

type newUser struct {
	Name     string `json:"name" doc:"What they sign in with; compared without regard to case."`
	Password string `json:"password"`
	userEdit
}

type userEdit struct {
	Email      string       `json:"email,omitempty"`
	Roles      []tutti.Role `json:"roles" enum:"admin,stream,download,share,playlist,cover,comment"`
	Libraries  []string     `json:"libraries,omitempty" doc:"The ids of the libraries it sees; left out for all."`
	MaxBitRate int          `json:"maxBitRate,omitempty" doc:"kbit/s; 0 or left out for no limit."`
	Scrobbling bool         `json:"scrobbling,omitempty"`
}

type setPassword struct {
	Password string `json:"password"`
}

func (e userEdit) onto(u tutti.User) (tutti.User, error) {
	known := []tutti.Role{
		tutti.RoleAdmin, tutti.RoleStream, tutti.RoleDownload, tutti.RoleShare, tutti.RolePlaylist, tutti.RoleCover, tutti.RoleComment,
	}
	for _, r := range e.Roles {
		if !slices.Contains(known, r) {
			return u, tutti.Errorf(tutti.KindInvalid, "api.userEdit", "there is no role %.40q", string(r))
		}
	}
	if e.MaxBitRate < 0 {
		return u, tutti.Errorf(tutti.KindInvalid, "api.userEdit", "maxBitRate must not be negative")
	}
	u.Email, u.Roles, u.Libraries, u.MaxBitRate, u.Scrobbling = e.Email, e.Roles, e.Libraries, e.MaxBitRate, e.Scrobbling
	return u, nil
}

func (s *server) userRoutes() []route {
	admin := holder(tutti.RoleAdmin)
	return []route{
		get("users", "listUsers", "users", "Every account", admin, (*call).users),
		send(http.MethodPost, "users", "createUser", "users", "Make an account", admin, (*call).createUser),
		get("users/{name}", "getUser", "users", "One account", admin, (*call).user),
		send(http.MethodPut, "users/{name}", "updateUser", "users", "Change an account", admin, (*call).updateUser).
			saying("Replaces everything but the name and the password. The last admin stays one."),
		act(http.MethodDelete, "users/{name}", "deleteUser", "users", "Delete an account", admin, (*call).deleteUser),
		put(http.MethodPut, "users/{name}/password", "setUserPassword", "users", "Set somebody's password", admin, (*call).setUserPassword).
			saying("Ends their sessions."),
	}
}

func (c *call) users() (items[user], error) {
	list, err := c.Accounts.Users(c.r.Context())
	return items[user]{wireList(list, wireUser)}, err
}

func (c *call) createUser(b newUser) (user, error) {
	u, err := b.onto(tutti.User{Name: b.Name})
	if err != nil {
		return user{}, err
	}
	u, err = c.Accounts.CreateUser(c.r.Context(), u, b.Password)
	return wireUser(&u), err
}

func (c *call) user() (user, error) {
	u, err := c.Accounts.User(c.r.Context(), c.r.PathValue("name"))
	return wireUser(&u), err
}

func (c *call) updateUser(b userEdit) (user, error) {
	ctx := c.r.Context()
	u, err := c.Accounts.User(ctx, c.r.PathValue("name"))
	if err != nil {
		return user{}, err
	}
	if u, err = b.onto(u); err != nil {
		return user{}, err
	}
	u, err = c.Accounts.UpdateUser(ctx, u)
	return wireUser(&u), err
}

func (c *call) deleteUser() error {
	return c.Accounts.DeleteUser(c.r.Context(), c.r.PathValue("name"))
}

func (c *call) setUserPassword(b setPassword) error {
	return c.Accounts.SetPassword(c.r.Context(), c.r.PathValue("name"), b.Password)
}
