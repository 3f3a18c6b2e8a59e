package subsonic

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"tutti"
	"tutti/delivery"
)

// maxCredential bounds what is hashed and compared on behalf of somebody who has not signed in. API keys are specified
// to stay below 2,048 characters.
const maxCredential = 2048

// credentials reads who the client says it is. The rules are those of the specification's API reference and of its
// extension apiKeyAuthentication: an API key alone, or a name with either a password or a token and its salt.
func credentials(p *params, from netip.Addr) (tutti.Credentials, error) {
	c := tutti.Credentials{From: from}
	key, hasKey := p.lookup("apiKey")
	name, hasName := p.lookup("u")
	password, hasPassword := p.lookup("p")
	token, hasToken := p.lookup("t")
	salt, hasSalt := p.lookup("s")
	for _, v := range []string{key, name, password, token, salt} {
		if len(v) > maxCredential {
			return c, failf(codeGeneric, "a credential is too long: at most %d bytes are read", maxCredential)
		}
	}
	switch {
	case hasKey && (hasName || hasPassword || hasToken || hasSalt):
		return c, failf(codeConflicting, "multiple conflicting authentication mechanisms provided: an API key comes alone, without u, p, t or s")
	case hasPassword && (hasToken || hasSalt):
		return c, failf(codeConflicting, "multiple conflicting authentication mechanisms provided: send either p, or t and s")
	case hasKey:
		if key == "" {
			return c, failf(codeMissing, "the required parameter %q is missing", "apiKey")
		}
		c.AppKey = key
	case name == "":
		return c, failf(codeMissing, "the required parameter %q is missing", "u")
	case hasPassword:
		plain, err := plainPassword(password)
		if err != nil {
			return c, err
		}
		if plain == "" {
			return c, failf(codeMissing, "the required parameter %q is missing", "p")
		}
		c.Name, c.Password = name, plain
	case token != "" && salt != "":
		c.Name, c.Token, c.Salt = name, strings.ToLower(token), salt
	default:
		return c, failf(codeMissing, "a required parameter is missing: send t and s, or p, or an apiKey")
	}
	return c, nil
}

// plainPassword undoes the hexadecimal form "enc:…". It hides nothing; it only keeps odd characters out of addresses.
func plainPassword(p string) (string, error) {
	digits, encoded := strings.CutPrefix(p, "enc:")
	if !encoded {
		return p, nil
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return "", failf(codeGeneric, `a password that begins with "enc:" must go on in hexadecimal digits`)
	}
	return string(b), nil
}

// admit lets the request in, or says why not.
func (s *Server) admit(c *call) error {
	if v := c.get("v"); v == "" {
		return failf(codeMissing, "the required parameter %q is missing", "v")
	} else if err := compatible(v); err != nil {
		return err
	}
	if c.get("c") == "" {
		return failf(codeMissing, "the required parameter %q is missing", "c")
	}
	creds, err := credentials(&c.params, delivery.ClientAddr(c.r))
	if err != nil {
		return err
	}
	user, err := s.cfg.Door.Admit(c.r.Context(), creds)
	switch {
	case err == nil:
	case tutti.IsKind(err, tutti.KindUnauthorised) && creds.AppKey != "":
		return failf(codeWrongKey, "%s", tutti.Message(err))
	default:
		return err
	}
	c.user, c.viewer, c.byKey = user, user.Viewer(), creds.AppKey != ""
	return nil
}

// compatible checks the client's protocol version against ours. The protocol promises that a change of the first
// number breaks clients and a change of the second does not; a client newer than us is told so only by the first
// number, because everything that came after 1.16.1 is announced through getOpenSubsonicExtensions.
func compatible(v string) error {
	major, _, _ := strings.Cut(v, ".")
	n, err := strconv.ParseUint(major, 10, 16)
	switch {
	case err != nil:
		return failf(codeGeneric, "the parameter %q must be a version such as %s", "v", apiVersion)
	case n < apiMajor:
		return failf(codeClientTooOld, "incompatible Subsonic REST protocol version: the client must be upgraded to %s", apiVersion)
	case n > apiMajor:
		return failf(codeServerTooOld, "incompatible Subsonic REST protocol version: the server speaks %s", apiVersion)
	}
	return nil
}

// carried are the parameters with which a client signs in; a playlist of segments repeats them in its addresses.
var carried = []string{"u", "p", "t", "s", "apiKey", "v", "c"}
