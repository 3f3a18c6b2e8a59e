package s3

import (
	"context"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"tutti"
	"tutti/origin"
)

// listing is a page of keys, with names taken from the wire's form.
type listing struct {
	objects  []types.Object
	prefixes []string
	next     *string
}

// page asks for up to limit keys (0: as many as the store gives, which is 1,000) that begin with prefix.
func (o *Origin) page(ctx context.Context, l *library, op, p, prefix, delimiter string, after *string, limit int32) (listing, error) {
	in := &s3.ListObjectsV2Input{
		Bucket: &l.bucket, ContinuationToken: after,
		EncodingType: types.EncodingTypeUrl, // XML 1.0 cannot hold every character that a key may have
	}
	if prefix != "" {
		in.Prefix = &prefix
	}
	if delimiter != "" {
		in.Delimiter = &delimiter
	}
	if limit > 0 {
		in.MaxKeys = &limit
	}
	out, err := ask(ctx, o, l, op, p, opList, func(ctx context.Context) (*s3.ListObjectsV2Output, error) {
		return l.client.ListObjectsV2(ctx, in)
	})
	if err != nil {
		return listing{}, err
	}
	name := func(s *string) string { return aws.ToString(s) }
	if out.EncodingType == types.EncodingTypeUrl { // not every store does as it is asked
		name = func(s *string) string {
			plain, err := url.QueryUnescape(aws.ToString(s))
			if err != nil {
				return "" // which is no key, and left out
			}
			return plain
		}
	}
	pg := listing{objects: out.Contents}
	for i := range pg.objects {
		plain := name(pg.objects[i].Key)
		pg.objects[i].Key = &plain
	}
	for _, c := range out.CommonPrefixes {
		pg.prefixes = append(pg.prefixes, name(c.Prefix))
	}
	if aws.ToBool(out.IsTruncated) {
		if pg.next = out.NextContinuationToken; aws.ToString(pg.next) == "" || aws.ToString(pg.next) == aws.ToString(after) {
			return listing{}, tutti.Errorf(tutti.KindUnavailable, op, "the object store of the library %q does not say how its listing goes on", l.Name)
		}
	}
	return pg, nil
}

// element is the path element that the rest of a key, after its directory's prefix, stands for. ok is false for what is
// no name of a file.
func element(rest string) (elem string, ok bool) {
	elem = origin.EscapeName(rest)
	return elem, rest != "." && !strings.ContainsAny(rest, "/\x00") && fs.ValidPath(elem)
}

// List returns what is directly inside a directory, in byte order of the paths. It takes one request for each 1,000
// entries.
func (o *Origin) List(ctx context.Context, lib, dir string) ([]tutti.FileInfo, error) {
	const op = "s3.List"
	l, key, err := o.enter(op, lib, dir, true)
	if err != nil {
		return nil, err
	}
	prefix, below := key+"/", dir+"/"
	if dir == "." {
		prefix, below = l.prefix, ""
	}
	var infos []tutti.FileInfo
	met, closed := dir == ".", false
	for after := (*string)(nil); ; {
		pg, err := o.page(ctx, l, op, dir, prefix, "/", after, 0)
		if err != nil {
			return nil, err
		}
		met = met || len(pg.objects)+len(pg.prefixes) > 0
		for _, obj := range pg.objects {
			rest, inside := strings.CutPrefix(*obj.Key, prefix)
			elem, ok := element(rest)
			if !inside || !ok {
				continue
			}
			closed = closed || origin.Marker(elem)
			if p := below + elem; !l.rules.Hides(p, elem, false) {
				infos = append(infos, factsOf(aws.ToInt64(obj.Size), obj.LastModified, obj.ETag).info(p))
			}
		}
		for _, c := range pg.prefixes {
			rest, inside := strings.CutPrefix(c, prefix)
			elem, ok := element(strings.TrimSuffix(rest, "/"))
			if !inside || !ok {
				continue
			}
			if p := below + elem; !l.rules.Hides(p, elem, true) {
				infos = append(infos, tutti.FileInfo{Path: p, Dir: true})
			}
		}
		if after = pg.next; after == nil {
			break
		}
	}
	if !met {
		return nil, tutti.Errorf(tutti.KindNotFound, op, "there is no directory %q", dir)
	}
	if closed {
		return nil, nil
	}
	return o.settle(lib, infos), nil
}

// settle sorts a listing and decides what is both a file and a directory: an empty file is only the directory's
// stand-in, and any other file is what its name leads to.
func (o *Origin) settle(lib string, infos []tutti.FileInfo) []tutti.FileInfo {
	slices.SortFunc(infos, func(a, b tutti.FileInfo) int { return strings.Compare(a.Path, b.Path) })
	kept := infos[:0]
	for _, fi := range infos {
		if n := len(kept); n > 0 && kept[n-1].Path == fi.Path {
			file := kept[n-1]
			if file.Dir {
				file = fi
			}
			if file.Size > 0 {
				o.log.Warn("an object has the name of a directory; what is in the directory is left out", "library", lib, "path", fi.Path)
				kept[n-1] = file
			} else {
				kept[n-1] = tutti.FileInfo{Path: fi.Path, Dir: true}
			}
			continue
		}
		kept = append(kept, fi)
	}
	return kept
}

// Stat says what is at a path: one request for a file, two for a directory.
func (o *Origin) Stat(ctx context.Context, lib, p string) (tutti.FileInfo, error) {
	const op = "s3.Stat"
	l, key, err := o.enter(op, lib, p, true)
	if err != nil {
		return tutti.FileInfo{}, err
	}
	if p == "." {
		return tutti.FileInfo{Path: ".", Dir: true}, o.isThere(ctx, l, op)
	}
	f, err := o.head(ctx, l, op, p, key)
	if err != nil && !tutti.IsKind(err, tutti.KindNotFound) {
		return tutti.FileInfo{}, err
	}
	if err != nil || f.size == 0 { // an empty file may stand for a directory
		dir, derr := o.isDir(ctx, l, op, p, key)
		if derr != nil {
			return tutti.FileInfo{}, derr
		}
		if dir {
			return tutti.FileInfo{Path: p, Dir: true}, nil
		}
	}
	if err == nil && l.rules.HidesAny(p, false) {
		err = noFile(op, p)
	}
	if err != nil {
		return tutti.FileInfo{}, err
	}
	return f.info(p), nil
}

// isThere returns KindUnavailable where the library's bucket is not.
func (o *Origin) isThere(ctx context.Context, l *library, op string) error {
	_, err := ask(ctx, o, l, op, ".", opHead, func(ctx context.Context) (*s3.HeadBucketOutput, error) {
		return l.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &l.bucket})
	})
	if tutti.IsKind(err, tutti.KindNotFound) {
		return &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Message: "the library \"" + l.Name + "\" is away: there is no such bucket", Err: err}
	}
	return err
}

// head asks for the facts of an object. That it is NotFound may as well mean that its bucket is.
func (o *Origin) head(ctx context.Context, l *library, op, p, key string) (facts, error) {
	out, err := ask(ctx, o, l, op, p, opHead, func(ctx context.Context) (*s3.HeadObjectOutput, error) {
		return l.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &l.bucket, Key: &key})
	})
	if status(err) == http.StatusBadRequest { // an answer to HEAD has no words for why; one to GET has
		st, f, _, err := o.get(ctx, l, op, p, key, 0, 1, "")
		if err != nil {
			return facts{}, classify(op, l, p, err)
		}
		return f, st.Close()
	}
	if err != nil {
		return facts{}, err
	}
	return factsOf(aws.ToInt64(out.ContentLength), out.LastModified, out.ETag), nil
}

// isDir reports whether there is anything below a key. A bucket that is not there is KindUnavailable.
func (o *Origin) isDir(ctx context.Context, l *library, op, p, key string) (bool, error) {
	pg, err := o.page(ctx, l, op, p, key+"/", "", nil, 1)
	return len(pg.objects) > 0, err
}
