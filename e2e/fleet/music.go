package fleet

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Music is a library of made-up albums: noise, so that no compression anywhere makes the bytes fewer than they are.
type Music struct {
	Album  string
	Tracks int
	Bytes  int64 // of each track's file, about
	Rate   int   // samples a second; 0: 44100
}

// CDRate is how many bytes a second a listener of the made-up music takes: 16 bits, two channels, 44.1 kHz.
const CDRate = 44100 * 2 * 2

// Write writes the album into a folder of its own below dir, and returns the files' names relative to dir, in order. The
// same album is the same bytes every time.
func (m Music) Write(dir string) ([]string, error) {
	if err := os.MkdirAll(filepath.Join(dir, m.Album), 0o755); err != nil {
		return nil, err
	}
	var names []string
	for i := range m.Tracks {
		name := filepath.Join(m.Album, fmt.Sprintf("%03d.wav", i+1))
		if err := writeWAV(filepath.Join(dir, name), m.Album, i+1, m.Bytes, cmp.Or(m.Rate, 44100)); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// noise is a track's samples, of about size bytes.
func noise(album string, number int, size int64) []byte {
	var seed [32]byte
	copy(seed[:], fmt.Sprintf("%s %d", album, number))
	samples := make([]byte, size&^3)
	_, _ = rand.NewChaCha8(seed).Read(samples) // it cannot fail
	return samples
}

// writeWAV writes a RIFF/WAVE file (Multimedia Programming Interface and Data Specifications 1.0) of about size bytes.
func writeWAV(name, album string, number int, size int64, rate int) error {
	samples := noise(album, number, size)

	text := func(kind, s string) []byte {
		b := append([]byte(s), 0)
		if len(b)%2 == 1 {
			b = append(b, 0)
		}
		return append(binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(b))), b...)
	}
	info := []byte("INFO")
	info = append(info, text("INAM", fmt.Sprintf("%s %03d", album, number))...)
	info = append(info, text("IART", "The Noise")...)
	info = append(info, text("IPRD", album)...)
	info = append(info, text("ITRK", fmt.Sprint(number))...)

	format := []byte("fmt ")
	format = binary.LittleEndian.AppendUint32(format, 16)
	format = binary.LittleEndian.AppendUint16(format, 1) // PCM
	format = binary.LittleEndian.AppendUint16(format, 2)
	format = binary.LittleEndian.AppendUint32(format, uint32(rate))
	format = binary.LittleEndian.AppendUint32(format, uint32(rate)*4)
	format = binary.LittleEndian.AppendUint16(format, 4)
	format = binary.LittleEndian.AppendUint16(format, 16)

	body := append([]byte("WAVE"), format...)
	body = append(binary.LittleEndian.AppendUint32(append(body, "LIST"...), uint32(len(info))), info...)
	body = append(binary.LittleEndian.AppendUint32(append(body, "data"...), uint32(len(samples))), samples...)
	file := append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
	return os.WriteFile(name, file, 0o644)
}
