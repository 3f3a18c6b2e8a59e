package subsonic

import (
	"slices"
	"strconv"
	"strings"

	"tutti"
)

// sameName compares user names as accounts do.
func sameName(a, b string) bool { return strings.EqualFold(a, b) }

// user writes a User. Roles for what this server does not have are always off; everybody may change their own settings.
func (s *Server) writeUser(c *call, u *tutti.User, libraries []tutti.Library) {
	e := c.out
	e.str("username", u.Name)
	e.known("email", u.Email)
	e.bool("scrobblingEnabled", u.Scrobbling)
	e.int("maxBitRate", int64(u.MaxBitRate))
	e.bool("adminRole", u.Has(tutti.RoleAdmin))
	e.bool("settingsRole", true)
	e.bool("downloadRole", u.Has(tutti.RoleDownload))
	e.bool("uploadRole", false)
	e.bool("playlistRole", u.Has(tutti.RolePlaylist))
	e.bool("coverArtRole", u.Has(tutti.RoleCover))
	e.bool("commentRole", u.Has(tutti.RoleComment))
	e.bool("podcastRole", false)
	e.bool("streamRole", u.Has(tutti.RoleStream))
	e.bool("jukeboxRole", s.cfg.Rooms != nil && u.Has(tutti.RoleStream))
	e.bool("shareRole", u.Has(tutti.RoleShare))
	e.bool("videoConversionRole", false)
	var folders []int64
	v := u.Viewer()
	for _, l := range libraries {
		if n, err := strconv.ParseInt(l.ID, 10, 64); err == nil && v.Sees(l.ID) {
			folders = append(folders, n)
		}
	}
	e.ints("folder", folders)
}

// everyLibrary lists the libraries there are, whoever asks: only their numbers are told.
func (s *Server) everyLibrary(c *call) ([]tutti.Library, error) {
	return s.cfg.Catalog.Libraries(c.r.Context(), tutti.Viewer{User: c.user.ID, Admin: true})
}

func (s *Server) getUser(c *call) error {
	name := c.need("username")
	if err := c.err(); err != nil {
		return err
	}
	u := c.user
	if !sameName(name, u.Name) {
		if !c.viewer.Admin {
			return failf(codeForbidden, "only an administrator may look at another account")
		}
		var err error
		if u, err = s.cfg.Accounts.User(c.r.Context(), name); err != nil {
			return err
		}
	}
	libraries, err := s.everyLibrary(c)
	if err != nil {
		return err
	}
	c.out.open("user")
	s.writeUser(c, &u, libraries)
	c.out.close()
	return nil
}

func (s *Server) getUsers(c *call) error {
	users, err := s.cfg.Accounts.Users(c.r.Context())
	if err != nil {
		return err
	}
	libraries, err := s.everyLibrary(c)
	if err != nil {
		return err
	}
	c.out.open("users")
	c.out.array("user")
	for i := range users {
		c.out.each()
		s.writeUser(c, &users[i], libraries)
		c.out.close()
	}
	c.out.endArray()
	c.out.close()
	return nil
}

// roleParams are the roles that a user can be given, and whether a new one has them when the client says nothing. The
// defaults are the specification's but for commentRole, which it has as false: here that role covers stars and
// bookmarks too, which no client expects to be withheld.
var roleParams = []struct {
	param     string
	role      tutti.Role
	byDefault bool
}{
	{"adminRole", tutti.RoleAdmin, false},
	{"streamRole", tutti.RoleStream, true},
	{"downloadRole", tutti.RoleDownload, false},
	{"coverArtRole", tutti.RoleCover, false},
	{"commentRole", tutti.RoleComment, true},
	{"shareRole", tutti.RoleShare, false},
}

// withoutEffect are parameters for what this server does not have. They are read, so that nonsense in them is found,
// and then forgotten.
var withoutEffect = []string{"settingsRole", "jukeboxRole", "uploadRole", "podcastRole", "videoConversionRole", "playlistRole"}

func (s *Server) userParams(c *call, u *tutti.User, isNew bool) error {
	if c.bool("ldapAuthenticated", false) {
		c.fail(codeGeneric, "this server does not sign anybody in through LDAP")
	}
	for _, name := range withoutEffect {
		c.bool(name, false)
	}
	roles := slices.Clone(u.Roles)
	for _, rp := range roleParams {
		_, sent := c.lookup(rp.param)
		if !sent && !isNew {
			continue
		}
		roles = slices.DeleteFunc(roles, func(r tutti.Role) bool { return r == rp.role })
		if c.bool(rp.param, rp.byDefault) {
			roles = append(roles, rp.role)
		}
	}
	if isNew {
		// "Since 1.8.0, changing this role has no effect": everybody may make playlists.
		roles = append(roles, tutti.RolePlaylist)
		u.Scrobbling = true
	}
	u.Roles = roles
	if _, sent := c.lookup("email"); sent {
		u.Email = c.limited("email", 254) // RFC 5321 §4.5.3.1.3 with erratum 1690
	}
	u.MaxBitRate = int(c.int("maxBitRate", int64(u.MaxBitRate), 0, 100_000))
	if folders := c.all("musicFolderId"); len(folders) > 0 {
		libraries, err := s.everyLibrary(c)
		if err != nil {
			return err
		}
		slices.Sort(folders)
		folders = slices.Compact(folders)
		for _, id := range folders {
			if !slices.ContainsFunc(libraries, func(l tutti.Library) bool { return l.ID == id }) {
				c.fail(codeNotFound, "there is no music folder with the id %s", id)
			}
		}
		u.Libraries = folders
		if len(folders) == len(libraries) {
			u.Libraries = nil // all of them, those that are added later too
		}
	}
	return c.err()
}

func (c *call) password() string {
	plain, err := plainPassword(c.get("password"))
	if err != nil && c.wrong == nil {
		c.wrong = err
	}
	return plain
}

func (s *Server) createUser(c *call) error {
	u := tutti.User{Name: c.need("username")}
	c.limited("username", 100)
	c.need("password")
	c.need("email")
	password := c.password()
	if err := s.userParams(c, &u, true); err != nil {
		return err
	}
	_, err := s.cfg.Accounts.CreateUser(c.r.Context(), u, password)
	return err
}

func (s *Server) updateUser(c *call) error {
	ctx := c.r.Context()
	name := c.need("username")
	password := c.password()
	if err := c.err(); err != nil {
		return err
	}
	u, err := s.cfg.Accounts.User(ctx, name)
	if err != nil {
		return err
	}
	if err := s.userParams(c, &u, false); err != nil {
		return err
	}
	if _, err := s.cfg.Accounts.UpdateUser(ctx, u); err != nil {
		return err
	}
	if password != "" {
		return s.cfg.Accounts.SetPassword(ctx, u.Name, password)
	}
	return nil
}

func (s *Server) deleteUser(c *call) error {
	name := c.need("username")
	if err := c.err(); err != nil {
		return err
	}
	if sameName(name, c.user.Name) {
		return failf(codeGeneric, "nobody can delete the account that they are signed in with")
	}
	return s.cfg.Accounts.DeleteUser(c.r.Context(), name)
}

func (s *Server) changePassword(c *call) error {
	name := c.need("username")
	c.need("password")
	password := c.password()
	if err := c.err(); err != nil {
		return err
	}
	if !sameName(name, c.user.Name) && !c.viewer.Admin {
		return failf(codeForbidden, "only an administrator may change another person's password")
	}
	return s.cfg.Accounts.SetPassword(c.r.Context(), name, password)
}
