"""Writes and dumps tags with mutagen. Reads one JSON object from standard input."""
import base64, json, sys
import mutagen
from mutagen import apev2, asf, flac, id3, mp4

TEXT = {
    "TITLE": "TIT2", "ARTIST": "TPE1", "ALBUMARTIST": "TPE2", "ALBUM": "TALB", "TITLESORT": "TSOT", "ARTISTSORT": "TSOP",
    "ALBUMARTISTSORT": "TSO2", "ALBUMSORT": "TSOA", "COMPOSERSORT": "TSOC", "DATE": "TDRC", "ORIGINALDATE": "TDOR", "RELEASEDATE": "TDRL",
    "DISCSUBTITLE": "TSST", "GENRE": "TCON", "MOOD": "TMOO", "COMPOSER": "TCOM", "LYRICIST": "TEXT", "CONDUCTOR": "TPE3", "REMIXER": "TPE4",
    "BPM": "TBPM", "COMPILATION": "TCMP", "ISRC": "TSRC", "LABEL": "TPUB", "GROUPING": "TIT1", "COPYRIGHT": "TCOP", "MOVEMENTNAME": "MVNM",
}
# Picard's descriptions of TXXX frames and names of freeform atoms, where they differ from the canonical ones.
DESC = {
    "MUSICBRAINZ_RELEASETRACKID": "MusicBrainz Release Track Id", "MUSICBRAINZ_ALBUMID": "MusicBrainz Album Id",
    "MUSICBRAINZ_RELEASEGROUPID": "MusicBrainz Release Group Id", "MUSICBRAINZ_ARTISTID": "MusicBrainz Artist Id",
    "MUSICBRAINZ_ALBUMARTISTID": "MusicBrainz Album Artist Id", "RELEASETYPE": "MusicBrainz Album Type",
    "MUSICBRAINZ_TRACKID": "MusicBrainz Track Id",
}
INVOLVED = {"PRODUCER": "producer", "ENGINEER": "engineer", "ARRANGER": "arranger", "MIXER": "mix"}
ATOM = {
    "TITLE": "\xa9nam", "ARTIST": "\xa9ART", "ALBUMARTIST": "aART", "ALBUM": "\xa9alb", "TITLESORT": "sonm", "ARTISTSORT": "soar",
    "ALBUMARTISTSORT": "soaa", "ALBUMSORT": "soal", "COMPOSERSORT": "soco", "DATE": "\xa9day", "GENRE": "\xa9gen", "COMMENT": "\xa9cmt",
    "COMPOSER": "\xa9wrt", "COPYRIGHT": "cprt", "GROUPING": "\xa9grp", "WORK": "\xa9wrk", "MOVEMENTNAME": "\xa9mvn", "LYRICS": "\xa9lyr",
}
APE = {
    "ALBUMARTIST": "Album Artist", "TRACKNUMBER": "Track", "DISCNUMBER": "Disc", "DATE": "Year", "REMIXER": "MixArtist", "DISCSUBTITLE": "DiscSubtitle",
}


def write_id3(tags, fields, pictures, enc, version):
    pairs, played = [], []
    for key, values in fields.items():
        if key in ("TRACKTOTAL", "DISCTOTAL", "MOVEMENTTOTAL"):
            continue
        if key in ("TRACKNUMBER", "DISCNUMBER", "MOVEMENT"):
            total = fields.get({"TRACKNUMBER": "TRACKTOTAL", "DISCNUMBER": "DISCTOTAL", "MOVEMENT": "MOVEMENTTOTAL"}[key])
            text = values[0] + ("/" + total[0] if total else "")
            frame = {"TRACKNUMBER": id3.TRCK, "DISCNUMBER": id3.TPOS, "MOVEMENT": id3.MVIN}[key]
            tags.add(frame(encoding=enc, text=[text]))
        elif key == "COMMENT":
            tags.add(id3.COMM(encoding=enc, lang="eng", desc="", text=values))
        elif key == "LYRICS":
            tags.add(id3.USLT(encoding=enc, lang="swe", desc="", text=values[0]))
        elif key == "MUSICBRAINZ_TRACKID":
            tags.add(id3.UFID(owner="http://musicbrainz.org", data=values[0].encode()))
        elif key == "PERFORMER":
            for v in values:
                name, _, role = v.rstrip(")").partition(" (")
                played.append([role, name])
        elif key in INVOLVED:
            pairs += [[INVOLVED[key], v] for v in values]
        elif key in TEXT:
            tags.add(getattr(id3, TEXT[key])(encoding=enc, text=values))
        else:
            tags.add(id3.TXXX(encoding=enc, desc=DESC.get(key, key), text=values))
    if pairs:
        tags.add(id3.TIPL(encoding=enc, people=pairs))
    if played:
        tags.add(id3.TMCL(encoding=enc, people=played))
    if pictures:
        tags.add(id3.APIC(encoding=enc, mime="image/png", type=4, desc="back – ü", data=PNG))
        tags.add(id3.APIC(encoding=enc, mime="image/jpeg", type=3, desc="front", data=JPEG))
    if version == 3:
        tags.update_to_v23()


def id3v22(fields):
    """mutagen does not write v2.2, so its few frames are put together here."""
    body = b""
    names = {"TITLE": "TT2", "ARTIST": "TP1", "ALBUM": "TAL", "DATE": "TYE", "TRACKNUMBER": "TRK"}
    for key, name in names.items():
        text = b"\x01" + fields[key][0].encode("utf-16") if key != "DATE" else b"\x00" + fields[key][0].encode()
        body += name.encode() + len(text).to_bytes(3, "big") + text
    for name, text in (("TCO", b"\x00(17)"), ("COM", b"\x00eng\x00" + fields["COMMENT"][0].encode())):
        body += name.encode() + len(text).to_bytes(3, "big") + text
    body += b"\x00" * 64
    n = len(body)
    return b"ID3\x02\x00\x00" + bytes([n >> 21 & 127, n >> 14 & 127, n >> 7 & 127, n & 127]) + body


def id3v1(fields):
    def pad(key, n):
        return fields[key][0].encode("latin-1")[:n].ljust(n, b"\x00")
    return (b"TAG" + pad("TITLE", 30) + pad("ARTIST", 30) + pad("ALBUM", 30) + pad("DATE", 4) + pad("COMMENT", 28)
            + b"\x00" + bytes([int(fields["TRACKNUMBER"][0]), 17]))


def flac_pictures():
    pics = []
    for kind, mime, desc, data in ((4, "image/png", "back – ü", PNG), (3, "image/jpeg", "front", JPEG)):
        p = flac.Picture()
        p.type, p.mime, p.desc, p.data = kind, mime, desc, data
        pics.append(p)
    return pics


def write(job):
    path, scheme, fields, pictures = job["path"], job["scheme"], job["fields"], job.get("pictures")
    if scheme.startswith("id3v2") and scheme != "id3v22":
        enc = {"id3v24-utf8": 3, "id3v24-utf16": 1, "id3v24-utf16be": 2, "id3v23": 1, "id3v23-latin1": 0}[scheme]
        version = 3 if scheme.startswith("id3v23") else 4
        tags = id3.ID3()
        write_id3(tags, fields, pictures, enc, version)
        tags.save(path, v2_version=version, v1=0, v23_sep=None)
    elif scheme == "id3v22":
        data = open(path, "rb").read()
        open(path, "wb").write(id3v22(fields) + data)
    elif scheme == "id3v1":
        open(path, "ab").write(id3v1(fields))
    elif scheme in ("wave", "aiff", "dsf"):
        f = mutagen.File(path)
        if f.tags is None:
            f.add_tags()
        write_id3(f.tags, fields, pictures, 3, 4)
        f.save()
    elif scheme in ("vorbis", "opus"):
        f = mutagen.File(path)
        for key, values in fields.items():
            f[key] = values
        if scheme == "opus" and "REPLAYGAIN_TRACK_GAIN" in fields:
            for key in ("REPLAYGAIN_TRACK_GAIN", "REPLAYGAIN_TRACK_PEAK", "REPLAYGAIN_ALBUM_GAIN", "REPLAYGAIN_ALBUM_PEAK"):
                del f[key]
            f["R128_TRACK_GAIN"], f["R128_ALBUM_GAIN"] = "-2954", "-3098"
        if pictures and isinstance(f, flac.FLAC):
            for p in flac_pictures():
                f.add_picture(p)
        elif pictures:
            f["METADATA_BLOCK_PICTURE"] = [base64.b64encode(p.write()).decode() for p in flac_pictures()]
        f.save()
    elif scheme == "mp4":
        f = mp4.MP4(path)
        for key, values in fields.items():
            if key in ATOM:
                f[ATOM[key]] = values
            elif key in ("TRACKNUMBER", "DISCNUMBER"):
                total = fields.get(key.replace("NUMBER", "TOTAL"), ["0"])
                f["trkn" if key == "TRACKNUMBER" else "disk"] = [(int(values[0]), int(total[0]))]
            elif key in ("TRACKTOTAL", "DISCTOTAL"):
                pass
            elif key in ("BPM", "ITUNESADVISORY", "MOVEMENT", "MOVEMENTTOTAL"):
                f[{"BPM": "tmpo", "ITUNESADVISORY": "rtng", "MOVEMENT": "\xa9mvi", "MOVEMENTTOTAL": "\xa9mvc"}[key]] = [int(values[0])]
            elif key == "COMPILATION":
                f["cpil"] = True
            else:
                f["----:com.apple.iTunes:" + DESC.get(key, key)] = [v.encode() for v in values]
        if pictures:
            f["covr"] = [mp4.MP4Cover(JPEG, mp4.MP4Cover.FORMAT_JPEG), mp4.MP4Cover(PNG, mp4.MP4Cover.FORMAT_PNG)]
        f.save()
    elif scheme in ("ape", "apev2"):
        try:
            tags = apev2.APEv2(path)
        except apev2.APENoHeaderError:
            tags = apev2.APEv2()
        for key, values in fields.items():
            if key in ("TRACKTOTAL", "DISCTOTAL"):
                continue
            if key in ("TRACKNUMBER", "DISCNUMBER"):
                total = fields.get(key.replace("NUMBER", "TOTAL"))
                values = [values[0] + ("/" + total[0] if total else "")]
            tags[APE.get(key, key.title())] = values
        if pictures:
            tags["Cover Art (Back)"] = apev2.APEValue(b"back.png\x00" + PNG, apev2.BINARY)
            tags["Cover Art (Front)"] = apev2.APEValue(b"front.jpg\x00" + JPEG, apev2.BINARY)
        tags.save(path)
    elif scheme == "asf":
        f = asf.ASF(path)
        names = {"TITLE": "Title", "ARTIST": "Author", "ALBUM": "WM/AlbumTitle", "DATE": "WM/Year", "COMMENT": "Description",
                 "TRACKNUMBER": "WM/TrackNumber", "GENRE": "WM/Genre"}
        for key, values in fields.items():
            f[names[key]] = values
        f.save()
    elif scheme == "retag":
        f = mutagen.File(path)
        if isinstance(f, mp4.MP4):
            f.tags and f.tags.clear()
            f["\xa9nam"] = fields["TITLE"]
        elif isinstance(f.tags, id3.ID3) or type(f).__name__ in ("MP3", "WAVE", "AIFF", "DSF"):
            if f.tags is None:
                f.add_tags()
            f.tags.clear()
            write_id3(f.tags, fields, False, 3, 4)
        else:
            if f.tags is None:
                f.add_tags()
            f.tags.clear()
            for key, values in fields.items():
                f[key.title()] = values
        f.save()
    else:
        raise ValueError(scheme)


def dump(path):
    f = mutagen.File(path)
    out = {"=length": [repr(f.info.length)]}
    for key, value in (f.tags or {}).items():
        if isinstance(value, id3.Frame):
            if hasattr(value, "people"):
                out[key] = [x for pair in value.people for x in pair]
            elif hasattr(value, "text"):
                text = value.text
                out[key] = [str(x) for x in text] if isinstance(text, list) else [str(text)]
            elif isinstance(value, id3.UFID):
                out[key] = [value.data.decode()]
            continue
        if not isinstance(value, list):
            value = [value]
        flat = []
        for v in value:
            if isinstance(v, apev2.APETextValue):
                flat += list(v)
            elif isinstance(v, mp4.MP4Cover) or isinstance(v, apev2.APEBinaryValue):
                continue
            elif isinstance(v, bytes):
                flat.append(v.decode())
            else:
                flat.append(str(v))
        if flat:
            out[key] = flat
    return out


req = json.load(sys.stdin)
if "dump" in req:
    json.dump({p: dump(p) for p in req["dump"]}, sys.stdout)
else:
    JPEG, PNG = (base64.b64decode(req[k] or "") for k in ("jpeg", "png"))
    for job in req["jobs"]:
        try:
            write(job)
        except Exception as err:
            raise SystemExit(f"{job['path']} ({job['scheme']}): {err!r}")
