package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"tutti"
	"tutti/catalog/scan"
	"tutti/metacodec"
	"tutti/metacodec/answers"
	"tutti/metacodec/songs"
)

type codecCmd struct {
	Encode encodeCmd `cmd:"" help:"Read songs as lines of JSON, write them as frames, each after its length as a varint."`
	Decode decodeCmd `cmd:"" help:"Read frames, write the songs as lines of JSON."`
}

type codecFlags struct {
	Model string `placeholder:"default|small|FILE" default:"default" help:"Model to use: one of the two in this program, or one that tutti train wrote."`
	In    string `arg:"" optional:"" default:"-" help:"File to read. Default: standard input."`
}

// model returns the model to use.
func (c *codecFlags) model() (*metacodec.Model, error) {
	switch c.Model {
	case "default":
		return metacodec.Default()
	case "small":
		return metacodec.Small()
	}
	f, err := os.Open(c.Model)
	if err != nil {
		return nil, tutti.Wrap(tutti.KindNotFound, "tutti codec", err)
	}
	defer f.Close()
	return metacodec.Load(f)
}

// open opens what is to be read.
func (c *codecFlags) open(std *streams) (io.ReadCloser, error) {
	if c.In == "-" {
		return io.NopCloser(std.in), nil
	}
	f, err := os.Open(c.In)
	return f, tutti.Wrap(tutti.KindNotFound, "tutti codec", err)
}

// derived is how the catalogue forms ids.
var derived = songs.Derive{Artist: scan.ArtistID, Folder: scan.FolderID, Album: scan.AlbumID}

type encodeCmd struct {
	codecFlags
	Group string `enum:"record,album" default:"record" help:"What goes into a frame: one record, or the records of an album that follow one another."`
}

// maxGroup is how many songs go into one frame at most.
const maxGroup = 1000

// Run writes a frame for every song, or every album.
func (c *encodeCmd) Run(_ context.Context, std *streams) (err error) {
	m, err := c.model()
	if err != nil {
		return err
	}
	in, err := c.open(std)
	if err != nil {
		return err
	}
	defer in.Close()
	out := bufio.NewWriter(std.out)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, songs.MaxSong+2)
	e, codec := metacodec.NewEncoder(m), songs.New(derived)
	var frame, length []byte
	flush := func() error {
		if e.Records() == 0 {
			return nil
		}
		if frame, err = e.AppendFrame(frame[:0]); err != nil {
			return err
		}
		length = binary.AppendUvarint(length[:0], uint64(len(frame)))
		_, err := out.Write(append(length, frame...))
		return err
	}
	album := ""
	for n := 1; lines.Scan(); n++ {
		line := lines.Bytes()
		if len(line) == 0 {
			continue
		}
		of := ""
		if c.Group == "album" {
			of = albumOf(line)
		}
		if of == "" || of != album || e.Records() == maxGroup {
			if err := flush(); err != nil {
				return err
			}
		}
		album = of
		if err := codec.Append(e, line); err != nil {
			return tutti.Wrap(tutti.KindInvalid, fmt.Sprintf("line %d", n), err)
		}
	}
	if err := lines.Err(); err != nil {
		return tutti.Wrap(tutti.KindInvalid, "tutti codec encode", err)
	}
	if err := flush(); err != nil {
		return err
	}
	return out.Flush()
}

// albumOf returns what tells a song's album, "" where nothing does.
func albumOf(line []byte) string {
	var s struct{ AlbumID, Album, DisplayAlbumArtist string }
	if json.Unmarshal(line, &s) != nil { // said where the line is written
		return ""
	}
	if s.AlbumID != "" {
		return s.AlbumID
	}
	if s.Album != "" {
		return s.Album + "\x00" + s.DisplayAlbumArtist
	}
	return ""
}

type decodeCmd struct {
	codecFlags
	Answer bool `help:"Read one answer of the API (application/vnd.tutti.frame) instead, as curl saves it."`
}

// maxFrame bounds a frame that is read: no song, nor a thousand, takes as much.
const maxFrame = 64 << 20

// Run writes a line for every song.
func (c *decodeCmd) Run(_ context.Context, std *streams) error {
	m, err := c.model()
	if err != nil {
		return err
	}
	in, err := c.open(std)
	if err != nil {
		return err
	}
	defer in.Close()
	if c.Answer {
		return readAnswer(in, m, std.out)
	}
	r, out := bufio.NewReader(in), bufio.NewWriter(std.out)
	d, codec := metacodec.NewDecoder(metacodec.NewModels(m)), songs.New(derived)
	defer d.Close()
	var frame frameBuffer
	var line []byte
	for n := 1; ; n++ {
		of := fmt.Sprintf("frame %d", n)
		err := frame.read(r)
		if errors.Is(err, io.EOF) {
			return out.Flush()
		}
		if err == nil {
			err = d.Reset(frame.b)
		}
		for err == nil && d.Next() {
			if line, err = codec.Read(d, line[:0]); err == nil {
				_, err = out.Write(append(line, '\n'))
			}
		}
		if err == nil {
			err = d.Err()
		}
		if err != nil {
			return tutti.Wrap(tutti.KindOf(err), of, err)
		}
	}
}

// readAnswer writes the JSON of an answer that is a frame.
func readAnswer(in io.Reader, m *metacodec.Model, out io.Writer) error {
	const op = "tutti codec decode"
	frame, err := io.ReadAll(io.LimitReader(in, maxFrame+1))
	if err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	if len(frame) > maxFrame {
		return tutti.Errorf(tutti.KindInvalid, op, "An answer of more than %d bytes is too long.", maxFrame)
	}
	answer, err := answers.New(derived).Read(nil, frame, metacodec.NewModels(m))
	if _, missing := errors.AsType[*metacodec.UnknownModelError](err); missing {
		return tutti.Errorf(tutti.KindInvalid, op, "The answer was written with another model than %s. Its Content-Type says which; get it from the server (GET /api/v1/models/ID) and name the file with --model.", m.ID())
	}
	if err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	_, err = out.Write(append(answer, '\n'))
	return err
}

// frameBuffer reads frames that lie behind their lengths.
type frameBuffer struct{ b []byte }

// read reads the next frame. It returns io.EOF where there is none. A length that lies is found before room is made for
// all of it.
func (f *frameBuffer) read(r *bufio.Reader) error {
	f.b = f.b[:0]
	n, err := binary.ReadUvarint(r)
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return tutti.Wrap(tutti.KindInvalid, "read length", err)
	case n > maxFrame:
		return tutti.Errorf(tutti.KindInvalid, "read length", "A frame of %d bytes is too long.", n)
	}
	for n > 0 {
		k := min(n, 1<<16)
		at := len(f.b)
		f.b = append(f.b, make([]byte, k)...)
		if _, err := io.ReadFull(r, f.b[at:]); err != nil {
			return tutti.Errorf(tutti.KindInvalid, "read frame", "It is cut short.")
		}
		n -= k
	}
	return nil
}
