package wire

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestGenerated makes sure that the committed files are what tutti.proto leads to, where there is a protoc.
func TestGenerated(t *testing.T) {
	if _, err := exec.LookPath("protoc"); err != nil {
		t.Skip("protoc is not installed (Debian: protobuf-compiler)")
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "sh", "generate.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"tutti.pb.go", "tutti.connect.go"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(withoutVersion(got), withoutVersion(want)) {
			t.Errorf("%s is not what tutti.proto leads to: run go generate ./peer/wire", name)
		}
	}
}

// withoutVersion takes out the line that names the version of protoc, which changes nothing else.
func withoutVersion(file []byte) []byte {
	const mark = "// \tprotoc  "
	from := bytes.Index(file, []byte(mark))
	if from < 0 {
		return file
	}
	return append(file[:from:from], file[from+bytes.IndexByte(file[from:], '\n'):]...)
}
