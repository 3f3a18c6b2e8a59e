package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// tagScript gives files their tags and sorts them into albums of twelve. It runs once for the whole library because
// starting a tagger for each file would take longer than everything measured here.
const tagScript = `
import os, random, sys
import mutagen
from mutagen.id3 import ID3, TIT2, TPE1, TPE2, TALB, TRCK, TDRC, TCON, APIC
from mutagen.mp3 import MP3

random.seed(1)
root, cover = sys.argv[1], open(sys.argv[2], "rb").read()
syllables = "ba ko ri na lu me ti so va de po ran mil est or an".split()
word = lambda: "".join(random.choice(syllables) for _ in range(random.randint(2, 4))).capitalize()
genres = [word() for _ in range(20)]
files = sorted(os.listdir(os.path.join(root, "in")))
random.shuffle(files)
artist = album = ""
for i, name in enumerate(files):
    if i % 60 == 0:
        artist = word() + " " + word()
    if i % 12 == 0:
        album, year, genre = word() + " " + word(), str(random.randint(1960, 2025)), random.choice(genres)
        folder = os.path.join(root, artist, album)
        os.makedirs(folder, exist_ok=True)
        open(os.path.join(folder, "cover.jpg"), "wb").write(cover)
    title = " ".join(word() for _ in range(random.randint(1, 4)))
    path = os.path.join(folder, "%02d %s%s" % (i % 12 + 1, title, os.path.splitext(name)[1]))
    os.rename(os.path.join(root, "in", name), path)
    if path.endswith(".mp3"):
        t = ID3()
        for frame in (TIT2(3, title), TPE1(3, artist), TPE2(3, artist), TALB(3, album), TRCK(3, str(i % 12 + 1)), TDRC(3, year), TCON(3, genre)):
            t.add(frame)
        t.add(APIC(3, "image/jpeg", 3, "", cover))
        t.save(path)
    else:
        f = mutagen.File(path, easy=True)
        f["title"], f["artist"], f["albumartist"], f["album"] = title, artist, artist, album
        f["tracknumber"], f["date"], f["genre"] = str(i % 12 + 1), year, genre
        f.save()
os.rmdir(os.path.join(root, "in"))
`

// formats of the real library, with how ffmpeg makes them.
var formats = []struct{ ext, args string }{
	{"flac", "-c:a flac"},
	{"mp3", "-c:a libmp3lame -b:a 192k"},
	{"ogg", "-c:a libvorbis -q:a 4"},
	{"opus", "-c:a libopus -b:a 96k"},
	{"m4a", "-c:a aac -b:a 128k"},
}

// realLibrary makes n small, real, tagged files of every format below root, unless they are there from before.
// Each file's audio is different: the segments of one long sound.
func realLibrary(ctx context.Context, root string, n int, log io.Writer) error {
	mark := filepath.Join(root, fmt.Sprintf(".complete-%d", n))
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	in := filepath.Join(root, "in")
	if err := os.MkdirAll(in, 0o755); err != nil {
		return err
	}
	each := (n + len(formats) - 1) / len(formats)
	const seconds = 3
	for i, f := range formats {
		fmt.Fprintf(log, "making %d %s files\n", each, f.ext)
		sound := fmt.Sprintf("aevalsrc='0.2*sin(2*PI*(220+t/7)*t)+0.1*sin(2*PI*%d*t)':s=44100:d=%d", 300+i, each*seconds)
		args := []string{"-v", "error", "-nostdin", "-f", "lavfi", "-i", sound, "-ac", "2"}
		args = append(args, strings.Fields(f.args)...)
		args = append(args, "-f", "segment", "-segment_time", fmt.Sprint(seconds))
		if f.ext == "m4a" {
			args = append(args, "-segment_format", "ipod")
		}
		args = append(args, filepath.Join(in, f.ext+"-%05d."+f.ext))
		if err := command(ctx, "ffmpeg", args...); err != nil {
			return err
		}
	}
	names, err := os.ReadDir(in)
	if err != nil {
		return err
	}
	for _, extra := range names[min(n, len(names)):] {
		if err := os.Remove(filepath.Join(in, extra.Name())); err != nil {
			return err
		}
	}
	if len(names) < n {
		return fmt.Errorf("ffmpeg made %d files, not %d", len(names), n)
	}
	cover := filepath.Join(root, ".cover.jpg")
	if err := command(ctx, "ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "mandelbrot=s=600x600", "-frames:v", "1", cover); err != nil {
		return err
	}
	script := filepath.Join(root, ".tag.py")
	if err := os.WriteFile(script, []byte(tagScript), 0o600); err != nil {
		return err
	}
	fmt.Fprintln(log, "tagging")
	if err := command(ctx, "/usr/bin/python3", script, root, cover); err != nil {
		return err
	}
	return os.WriteFile(mark, nil, 0o600)
}

// bigFiles makes a few large files of noise that nothing compresses, to measure the moving of bytes: wav, so that both
// servers see plain files.
func bigFiles(ctx context.Context, root string, n, seconds int) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	for i := range n {
		path := filepath.Join(root, fmt.Sprintf("noise %d.wav", i))
		if _, err := os.Stat(path); err == nil {
			continue
		}
		err := command(ctx, "ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi",
			"-i", fmt.Sprintf("anoisesrc=d=%d:r=44100:seed=%d", seconds, i), "-ac", "2", "-metadata", fmt.Sprintf("title=noise %d", i), path)
		if err != nil {
			return err
		}
	}
	return nil
}

func command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out.Bytes())
	}
	return nil
}
