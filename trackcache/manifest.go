package trackcache

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strconv"
	"time"

	"tutti"
)

// castagnoli is CRC-32C (RFC 3720 §12.1): processors compute it at memory speed, and it finds what disks do to data.
// It is no defence against people who can write to the cache's folder; they could as well change the music.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// manifest describes a complete object. It is written last, into a folder that is then renamed into place with all
// the object's chunks: an object is there whole or not at all.
type manifest struct {
	Format      int       `json:"format"` // 1
	Key         string    `json:"key"`    // tutti.Ref.Key
	Size        int64     `json:"size"`   // bytes
	ContentType string    `json:"type"`
	ModTime     time.Time `json:"modified"`
	Sums        []uint32  `json:"crc32c"` // of each chunk
}

const (
	manifestFormat = 1
	// maxManifest bounds what is read of a manifest: enough for an object of 1 TiB, at 11 digits a chunk.
	maxManifest = 16 << 20
	maxKey      = 4 << 10
)

// chunks is how many chunks an object of size bytes has.
func chunks(size int64) int64 { return (size + tutti.ChunkSize - 1) / tutti.ChunkSize }

// chunkLength is the length in bytes of chunk i of an object of size bytes.
func chunkLength(size, i int64) int64 { return min(tutti.ChunkSize, size-i*tutti.ChunkSize) }

// encode writes the manifest as a line of JSON and a line with that line's checksum.
func (m manifest) encode() ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(append(b, '\n'), "%08x\n", crc32.Checksum(b, castagnoli)), nil
}

// parseManifest accepts exactly what encode writes.
func parseManifest(b []byte) (m manifest, err error) {
	line, sum, ok := bytes.Cut(b, []byte{'\n'})
	if !ok || len(sum) != 9 || sum[8] != '\n' {
		return m, fmt.Errorf("manifest: %d bytes without a checksum", len(b))
	}
	want, err := hex.DecodeString(string(sum[:8]))
	if err != nil {
		return m, fmt.Errorf("manifest: checksum: %w", err)
	}
	if got := crc32.Checksum(line, castagnoli); !bytes.Equal(want, []byte{byte(got >> 24), byte(got >> 16), byte(got >> 8), byte(got)}) {
		return m, fmt.Errorf("manifest: checksum is %08x, not %x", got, want)
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	switch {
	case m.Format != manifestFormat:
		return m, fmt.Errorf("manifest: format %d is not known", m.Format)
	case m.Size < 0 || int64(len(m.Sums)) != chunks(m.Size):
		return m, fmt.Errorf("manifest: %d bytes in %d chunks", m.Size, len(m.Sums))
	case m.Key == "" || len(m.Key) > maxKey:
		return m, fmt.Errorf("manifest: key of %d bytes", len(m.Key))
	}
	return m, nil
}

// readManifest reads the manifest in a file.
func readManifest(path string) (manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return manifest{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return manifest{}, err
	}
	if len(b) > maxManifest {
		return manifest{}, fmt.Errorf("%w: manifest: larger than %d bytes", errCorrupt, maxManifest)
	}
	m, err := parseManifest(b)
	if err != nil {
		return m, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	return m, nil
}

const manifestName = "manifest"

// chunkName is the name of chunk i's file within the object's folder.
func chunkName(i int64) string { return strconv.FormatInt(i, 10) }
