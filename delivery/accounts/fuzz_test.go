package accounts

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"tutti"
)

func FuzzParsePHC(f *testing.F) {
	p := cost
	p.salt, p.hash = bytes.Repeat([]byte{1}, saltLen), bytes.Repeat([]byte{2}, hashLen)
	good := p.String()
	f.Add(good)
	f.Add("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG")
	for _, change := range [][2]string{
		{"argon2id", "argon2i"},
		{"v=19", "v=16"},
		{"m=19456", "m=4294967295"},
		{"m=19456", "m=019456"},
		{"t=2", "t=0"},
		{"p=1", "p=256"},
		{"p=1", "p=1,keyid=x"},
		{"t=2,p=1", "p=1,t=2"},
		{"$AQ", "$=AQ"},
		{"$", "$$"},
		{"AQEB", "AQ\rE\nB"},
	} {
		f.Add(strings.Replace(good, change[0], change[1], 1))
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePHC(s)
		if err != nil {
			return
		}
		if p.memory == 0 || p.memory > maxMemory || p.passes == 0 || p.passes > maxPasses || p.lanes == 0 ||
			len(p.salt) > maxField || len(p.hash) < 8 || len(p.hash) > maxField {
			t.Fatalf("%q has parameters out of bounds: %+v", s, p)
		}
		if p.String() != s {
			t.Fatalf("%q reads as %q", s, p)
		}
	})
}

func TestPHCRefuses(t *testing.T) {
	p := cost
	p.salt, p.hash = bytes.Repeat([]byte{1}, saltLen), bytes.Repeat([]byte{2}, hashLen)
	if _, err := parsePHC(p.String()); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{"argon2id", "argon2i"},
		{"v=19", "v=16"},
		{"m=19456", "m=4294967295"},
		{"t=2", "t=0"},
		{"t=2", "t=65"},
		{"p=1", "p=256"},
		{"m=19456,", ""},
		{"$AQEBAQEBAQEBAQEBAQEBAQ$", "$AQEB$"},
	} {
		if s := strings.Replace(p.String(), change[0], change[1], 1); s == p.String() {
			t.Fatalf("%q changes nothing", change)
		} else if _, err := parsePHC(s); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
}

// FuzzFold checks that folding is a fixed point, that case makes no difference, and that its result is a key that the
// store takes.
func FuzzFold(f *testing.F) {
	for _, s := range []string{
		"anna", "ANNA", "Zoë Müller", "Zoe\u0308", "ｆｕｌｌ", "İstanbul", "ǅ", "ß", "Σίσυφος", "a\u200bb", "a  b", "\u3000x", "\xff", "", " ", "🎵",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		key, ok := fold(name)
		if !ok {
			return
		}
		if key == "" || !utf8.ValidString(key) || strings.ContainsAny(key, "\x00\n") || utf8.RuneCountInString(key) > maxName {
			t.Fatalf("%q folds to %q", name, key)
		}
		if again, ok := fold(key); !ok || again != key {
			t.Fatalf("%q folds to %q, which folds to %q (%v)", name, key, again, ok)
		}
	})
}

// FuzzCredentials throws anything at the door. Nothing may panic, and nothing may get in.
func FuzzCredentials(f *testing.F) {
	f.Add("anna", "password", "", "", "", "")
	f.Add("anna", "", "26719a1196d2a940705a59634eb18eab", "c19b2d", "", "")
	f.Add("\xff", "", "\x00", "\xff", "", "")
	f.Add("", "", "", "", "tutti_"+strings.Repeat("0", 47), "")
	f.Add("", "", "", "", "tutti_"+strings.Repeat("\x00", 47), "")
	f.Add("", "", "", "", "", "0000000000000."+strings.Repeat("A", 43))
	f.Add("", "", "", "", "", "000000000000\x00."+strings.Repeat("A", 43))
	f.Fuzz(func(t *testing.T, name, password, token, salt, key, session string) {
		if password == goodPassword {
			return
		}
		h := fuzzHouse(t)
		c := tutti.Credentials{From: home, Name: name, Password: password, Token: token, Salt: salt, AppKey: key, Session: session}
		if u, err := h.Admit(t.Context(), c); tutti.KindOf(err) != tutti.KindUnauthorised {
			t.Fatalf("%+v: %v, %v", c, u, err)
		}
		if err := h.SignOut(t.Context(), session); err != nil {
			t.Fatal(err)
		}
		if err := h.RevokeSession(t.Context(), tutti.ID(name), session); tutti.KindOf(err) != tutti.KindNotFound {
			t.Fatal(err)
		}
		if err := h.RevokeAppKey(t.Context(), tutti.ID(name), key); tutti.KindOf(err) != tutti.KindNotFound {
			t.Fatal(err)
		}
	})
}

func fuzzHouse(t *testing.T) *house {
	h := newHouse(t)
	h.create("anna")
	return h
}

func FuzzOpenSealed(f *testing.F) {
	v, err := newVault(make([]byte, keyLen))
	if err != nil {
		f.Fatal(err)
	}
	user := tutti.NewID(tutti.PrefixUser, 1)
	sealed := v.seal(user, goodPassword)
	if got, err := v.open(user, sealed); err != nil || got != goodPassword {
		f.Fatal(got, err)
	}
	f.Add(sealed[:len(sealed)-1])
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{sealedForm}, 40))
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		f.Add(changed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Equal(b, sealed) {
			return
		}
		if secret, err := v.open(user, b); err == nil {
			t.Fatalf("opened %x: %q", b, secret)
		}
	})
}
