package peer

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tutti"
)

// epoch is when the clocks of these tests start.
var epoch = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

func line(id, fill string) string { return id + ":" + strings.Repeat(fill, 32) + "\n" }

// keysFile writes a file of keys that changed at the given time.
func keysFile(t testing.TB, path, content string, changed time.Time) string {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "keys")
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, changed, changed); err != nil {
		t.Fatal(err)
	}
	return path
}

func testKeys(t testing.TB, lines ...string) *Keys {
	t.Helper()
	if len(lines) == 0 {
		lines = []string{line("k1", "a1")}
	}
	k, err := ReadKeys(keysFile(t, "", strings.Join(lines, ""), epoch))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func wantKind(t testing.TB, err error, kind tutti.Kind, what string) {
	t.Helper()
	if !tutti.IsKind(err, kind) {
		t.Errorf("%s: %v, want an error that is %s", what, err, kind)
	}
}

func TestKeysFiles(t *testing.T) {
	secret := strings.Repeat("5e", 32)
	for _, c := range []struct {
		what, content string
		ok            bool
	}{
		{"one key", "k1:" + secret, true},
		{"a comment, an empty line and spaces", "# the fleet's\n\n  k1:" + secret + "  \r\n", true},
		{"a longer key", "k1:" + secret + secret, true},
		{"nothing", "# none\n", false},
		{"a short key", "k1:" + secret[2:], false},
		{"no identifier", ":" + secret, false},
		{"a long identifier", strings.Repeat("k", 33) + ":" + secret, false},
		{"an identifier with a comma", "k,1:" + secret, false},
		{"no colon", secret, false},
		{"no hexadecimal", "k1:" + secret + "zz", false},
		{"an identifier twice", "k1:" + secret + "\nk1:" + secret, false},
		{"too much", "k1:" + secret + strings.Repeat("\n", maxKeysFile), false},
	} {
		_, err := ReadKeys(keysFile(t, "", c.content, epoch))
		if c.ok {
			if err != nil {
				t.Errorf("%s: %v", c.what, err)
			}
			continue
		}
		wantKind(t, err, tutti.KindInvalid, c.what)
		if err != nil && strings.Contains(err.Error(), secret[2:]) {
			t.Errorf("%s: the error shows the key: %v", c.what, err)
		}
	}
	_, err := ReadKeys(filepath.Join(t.TempDir(), "none"))
	wantKind(t, err, tutti.KindNotFound, "no file")
}

func TestKeysThatEverybodyMayRead(t *testing.T) {
	path := keysFile(t, "", line("k1", "a1"), epoch)
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o640: true, 0o644: false, 0o602: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := ReadKeys(path)
		if ok && err != nil {
			t.Errorf("mode %o: %v", mode, err)
		}
		if !ok {
			wantKind(t, err, tutti.KindForbidden, mode.String())
		}
	}
}

func TestNewKeysFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	if err := NewKeysFile(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if _, err := ReadKeys(path); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, NewKeysFile(path), tutti.KindConflict, "a second time")
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file was changed: %v", err)
	}
	other := filepath.Join(t.TempDir(), "keys")
	if err := NewKeysFile(other); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(other); err != nil || string(content) == string(before) {
		t.Errorf("two files with the same key, %v", err)
	}
}

// TestRotation changes the key of two members one after the other, as the comment of Keys says, with traffic in both
// directions at every step.
func TestRotation(t *testing.T) {
	now := epoch
	one, two := line("k1", "a1"), line("k2", "b2")
	fileA, fileB := keysFile(t, "", one, now), keysFile(t, "", one, now)
	a, err := ReadKeys(fileA)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ReadKeys(fileB)
	if err != nil {
		t.Fatal(err)
	}
	speak := func(step string) {
		t.Helper()
		now = now.Add(keysEvery)
		for _, k := range []*Keys{a, b} {
			if err := k.refresh(now); err != nil {
				t.Fatalf("%s: %v", step, err)
			}
		}
		p := tutti.Pass{Ref: tutti.Ref{Path: "a.flac"}, Expires: now.Add(time.Minute)}
		if _, err := b.OpenPass(a.SealPass(p), now); err != nil {
			t.Errorf("%s: from a to b: %v", step, err)
		}
		if _, err := a.OpenPass(b.SealPass(p), now); err != nil {
			t.Errorf("%s: from b to a: %v", step, err)
		}
	}
	speak("at first")
	for i, step := range []struct{ file, content string }{
		{fileA, one + two}, {fileB, one + two}, {fileA, two + one}, {fileB, two + one}, {fileA, two}, {fileB, two},
	} {
		keysFile(t, step.file, step.content, now.Add(time.Duration(i+1)*time.Hour))
		speak(hex.EncodeToString([]byte{byte(i)}))
	}
	old := testKeys(t, one)
	if _, err := a.OpenPass(old.SealPass(tutti.Pass{Ref: tutti.Ref{Path: "a"}, Expires: now.Add(time.Minute)}), now); err == nil {
		t.Error("a key that was removed is still good")
	}
}

func TestKeysStayWhileTheirFileIsBroken(t *testing.T) {
	path := keysFile(t, "", line("k1", "a1"), epoch)
	k, err := ReadKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	sealed := k.SealPass(tutti.Pass{Ref: tutti.Ref{Path: "a"}, Expires: epoch.Add(time.Hour)})
	keysFile(t, path, "k1:half a l", epoch.Add(time.Second))
	wantKind(t, k.refresh(epoch.Add(keysEvery)), tutti.KindInvalid, "a broken file")
	if _, err := k.OpenPass(sealed, epoch); err != nil {
		t.Errorf("the keys were lost: %v", err)
	}
	if err := k.refresh(epoch.Add(keysEvery + 1)); err != nil {
		t.Errorf("the file was looked at again at once: %v", err)
	}
}
