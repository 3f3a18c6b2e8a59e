package peer

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"tutti"
)

func somePass() tutti.Pass {
	return tutti.Pass{
		Ref:  tutti.Ref{Library: "1", Path: "a/b.flac", Version: "v1", Profile: tutti.Profile{Format: "opus", BitRate: 128}, End: time.Second},
		Size: 5 << 20, ModTime: epoch.Add(-time.Hour), ContentType: "audio/flac", ETag: `"tag"`, SHA256: []byte(strings.Repeat("s", 32)),
		Duration: 3 * time.Minute, Expires: epoch.Add(time.Minute),
	}
}

func TestEveryFieldOfAPassIsSealed(t *testing.T) {
	keys := testKeys(t)
	rapid.Check(t, func(rt *rapid.T) {
		want := filled(rt, reflect.TypeFor[tutti.Pass](), rapid.Bool().Draw(rt, "full")).Interface().(tutti.Pass)
		want.Size = max(-1, want.Size)
		want.Ref.Path = "a/" + strings.Trim(strings.Map(func(r rune) rune {
			if r == '/' || r == 0 {
				return -1
			}
			return r
		}, want.Ref.Path), ".") + "b"
		want.ContentType = strings.Repeat("t", len(want.ContentType))
		want.ETag = `"` + strings.Repeat("e", len(want.ETag)) + `"`
		if len(want.SHA256) > 0 {
			want.SHA256 = []byte(strings.Repeat("d", 31) + string(rune('a'+want.SHA256[0]%26)))
		}
		want.Expires = time.Unix(1<<37, rapid.Int64Range(0, 999).Draw(rt, "ns")).UTC()
		got, err := keys.OpenPass(keys.SealPass(want), epoch)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			rt.Fatalf("a pass changed (-sealed +opened):\n%s", diff)
		}
	})
}

func TestPassEnds(t *testing.T) {
	keys := testKeys(t)
	sealed := keys.SealPass(somePass())
	if _, err := keys.OpenPass(sealed, epoch.Add(time.Minute-1)); err != nil {
		t.Error(err)
	}
	_, err := keys.OpenPass(sealed, epoch.Add(time.Minute))
	wantKind(t, err, tutti.KindForbidden, "a pass that has expired")
}

func TestForgedPasses(t *testing.T) {
	keys := testKeys(t)
	sealed := keys.SealPass(somePass())
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw { // every bit counts
		for bit := range 8 {
			raw[i] ^= 1 << bit
			if p, err := keys.OpenPass(base64.RawURLEncoding.EncodeToString(raw), epoch); err == nil {
				t.Fatalf("byte %d, bit %d may be changed: %+v", i, bit, p)
			}
			raw[i] ^= 1 << bit
		}
	}
	for what, s := range map[string]string{
		"nothing":              "",
		"something else":       "pass",
		"cut short":            sealed[:len(sealed)-4],
		"with something after": sealed + "AAAA",
		"of another fleet":     testKeys(t, line("k1", "cc")).SealPass(somePass()),
		"without a key":        (*Keys)(nil).SealPass(somePass()),
		"very long":            strings.Repeat("A", maxPass+1),
		"not base64":           "!" + sealed[1:],
	} {
		_, err := keys.OpenPass(s, epoch)
		wantKind(t, err, tutti.KindUnauthorised, what)
	}
	if _, err := (*Keys)(nil).OpenPass(sealed, epoch); err == nil {
		t.Error("who has no keys cannot know a sealed pass to be good")
	}
	if _, err := (*Keys)(nil).OpenPass((*Keys)(nil).SealPass(somePass()), epoch); err != nil {
		t.Errorf("without keys: %v", err)
	}
}

// TestNoPassLeadsOutside seals, with the fleet's own key, what no member would: a defect in one of them must not
// become one in the others.
func TestNoPassLeadsOutside(t *testing.T) {
	keys := testKeys(t)
	for _, path := range []string{
		"", ".", "..", "../secret", "a/../../secret", "/etc/passwd", "a//b", "a/", "a/./b", "a\x00b", "http://169.254.169.254/", "\xff",
	} {
		p := somePass()
		p.Ref.Path = path
		_, err := keys.OpenPass(keys.SealPass(p), epoch)
		wantKind(t, err, tutti.KindInvalid, path)
	}
	for what, change := range map[string]func(*tutti.Pass){
		"a header within the content type": func(p *tutti.Pass) { p.ContentType = "audio/flac\r\nSet-Cookie: a=b" },
		"a header within the entity-tag":   func(p *tutti.Pass) { p.ETag = "\"a\r\nb\"" },
		"an entity-tag without quotes":     func(p *tutti.Pass) { p.ETag = "tag" },
		"a digest of another length":       func(p *tutti.Pass) { p.SHA256 = []byte("short") },
		"a size below none":                func(p *tutti.Pass) { p.Size = -2 },
	} {
		p := somePass()
		change(&p)
		_, err := keys.OpenPass(keys.SealPass(p), epoch)
		wantKind(t, err, tutti.KindInvalid, what)
	}
}

func FuzzOpenPass(f *testing.F) {
	keys := testKeys(f)
	sealed := keys.SealPass(somePass())
	f.Add(sealed)
	f.Add("")
	f.Add(sealed[:40])
	f.Fuzz(func(t *testing.T, s string) {
		p, err := keys.OpenPass(s, epoch)
		if err == nil && keys.SealPass(p) != s {
			t.Errorf("%q opens as a pass that is sealed otherwise: %+v", s, p)
		}
	})
}

// FuzzPassFields reads fields that are signed properly, whatever is in them.
func FuzzPassFields(f *testing.F) {
	keys := testKeys(f)
	raw, err := base64.RawURLEncoding.DecodeString(keys.SealPass(somePass()))
	if err != nil {
		f.Fatal(err)
	}
	head := 1 + 1 + len("k1")
	f.Add(raw[head : len(raw)-passMAC])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, fields []byte) {
		b := append([]byte{passVersion, 2, 'k', '1'}, fields...)
		b = append(b, macOf(keys.signing().pass, b)[:passMAC]...)
		if p, err := keys.OpenPass(base64.RawURLEncoding.EncodeToString(b), epoch); err == nil {
			if err := checkRef(p.Ref); err != nil {
				t.Error(err)
			}
		}
	})
}

func BenchmarkPass(b *testing.B) {
	keys := testKeys(b)
	p := somePass()
	sealed := keys.SealPass(p)
	b.Logf("%d bytes", len(sealed))
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			keys.SealPass(p)
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if _, err := keys.OpenPass(sealed, epoch); err != nil {
				b.Fatal(err)
			}
		}
	})
}
