package audio

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// tail is what lies behind the sound: tags, and where they begin.
type tail struct {
	tags Tags
	end  int64 // of the sound
}

// tailTags reads the tags that may follow the sound, from the end of the file forwards: ID3v1, Lyrics3v2 (passed over),
// APEv2 and an appended ID3v2.4. Where several say the same, APEv2 and ID3v2 win over ID3v1.
func (p *parser) tailTags() tail {
	t := tail{end: p.f.size}
	var v1 Tags
	for range 8 { // each kind once, and some files have one twice
		b, err := p.f.upTo(max(t.end-160, 0), int(min(t.end, 160)))
		if err != nil || len(b) < 10 {
			break
		}
		n := len(b)
		switch {
		case n >= 128 && string(b[n-128:n-125]) == "TAG":
			if v1 == nil {
				v1 = id3v1(b[n-128:])
			}
			t.end -= 128
			continue
		case n >= 32 && string(b[n-32:n-24]) == "APETAGEX":
			if size := p.apeTag(b[n-32:], t.end, &t.tags); size > 0 {
				t.end -= size
				continue
			}
		case string(b[n-10:n-7]) == "3DI": // the footer of an ID3v2.4 tag (§3.4)
			if size := int64(syncsafe(b[n-4:])) + 20; size <= t.end {
				before := p.info.Tags
				p.info.Tags = nil
				if _, err := p.id3v2(t.end - size); err == nil {
					t.tags.addMissing(p.info.Tags)
				}
				p.info.Tags = before
				t.end -= size
				continue
			}
		case string(b[n-9:]) == "LYRICS200" && n >= 15: // http://id3.org/Lyrics3v2
			if size, ok := digits(string(b[n-15:n-9]), 6); ok && int64(size)+15 <= t.end {
				t.end -= int64(size) + 15
				continue
			}
		}
		break
	}
	t.tags.addMissing(v1)
	return t
}

// apeTag reads the APEv1 or APEv2 tag whose footer ends at end, and returns its length with header and footer, or 0
// if it is none. https://wiki.hydrogenaud.io/index.php?title=APEv2_specification
func (p *parser) apeTag(footer []byte, end int64, tags *Tags) int64 {
	size := int64(binary.LittleEndian.Uint32(footer[12:])) // items and footer
	count := binary.LittleEndian.Uint32(footer[16:])
	flags := binary.LittleEndian.Uint32(footer[20:])
	total := size
	if flags&(1<<31) != 0 { // there is a header too
		total += 32
	}
	if size < 32 || total > end || flags&(1<<29) != 0 {
		return 0
	}
	s := section{p.f, end - size, end - 32}
	for range min(count, maxTags) {
		if p.apeItem(&s, tags) != nil {
			break
		}
	}
	return total
}

func (p *parser) apeItem(s *section, tags *Tags) error {
	b, err := s.next(8)
	if err != nil {
		return err
	}
	n, flags := int64(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint32(b[4:])
	var key []byte
	for len(key) < 256 {
		b, err := s.next(1)
		if err != nil {
			return err
		}
		if b[0] == 0 {
			break
		}
		key = append(key, b[0])
	}
	rest := section{s.f, s.off, min(s.off+n, s.end)}
	if err := s.skip(n); err != nil {
		return err
	}
	name := strings.ToUpper(string(key))
	switch flags >> 1 & 3 {
	case 0: // text; several values are separated by NUL
		if n > maxText {
			return nil
		}
		b, err := rest.next(int(n))
		if err != nil {
			return err
		}
		for _, v := range bytes.Split(b, []byte{0}) {
			tags.add(name, utf8OrLatin1(v))
		}
	case 1: // binary; "Cover Art (Front)" begins with a file name
		kind, ok := map[string]PictureKind{"COVER ART (FRONT)": PictureFront, "COVER ART (BACK)": PictureBack, "COVER ART (ARTIST)": PictureArtist}[name]
		if !ok && !strings.HasPrefix(name, "COVER ART") {
			return nil
		}
		b, err := rest.next(int(min(n, 512)))
		if err != nil {
			return err
		}
		k := bytes.IndexByte(b, 0)
		if k < 0 {
			return nil
		}
		ext := ""
		if dot := bytes.LastIndexByte(b[:k], '.'); dot >= 0 {
			ext = string(b[dot+1 : k])
		}
		p.addPicture(PictureInfo{Kind: kind, MIME: pictureMIME(b[k+1:], ext), Size: n - int64(k) - 1, Offset: rest.off - int64(len(b)) + int64(k) + 1})
	}
	return nil
}
