package s3_test

import (
	"net/url"
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"tutti/origin/origintest"
	"tutti/origin/s3"
)

func TestContract(t *testing.T) {
	for _, prefix := range []string{"", "music/all"} {
		t.Run("prefix="+prefix, func(t *testing.T) {
			origintest.Run(t, func(t *testing.T) origintest.Fixture {
				b := bucket(t)
				pre := ""
				if prefix != "" {
					pre = prefix + "/"
					put(t, b, "outside.mp3", []byte("x"))
					put(t, b, "music/outside.mp3", []byte("x"))
				}
				under := func(p string) []string {
					t.Helper()
					var ks []string
					for _, k := range keys(t, b, pre+p) {
						if k == pre+p || strings.HasPrefix(k, pre+p+"/") {
							ks = append(ks, k)
						}
					}
					return ks
				}
				return origintest.Fixture{
					Origin:  open(t, s3.Config{Libraries: []s3.Library{{ID: "1", Name: "Music", Bucket: b, Prefix: prefix}}}),
					Library: "1",
					Write:   func(t *testing.T, p string, data []byte) { put(t, b, pre+p, data) },
					Remove: func(t *testing.T, p string) {
						for _, k := range under(p) {
							remove(t, b, k)
						}
					},
					Rename: func(t *testing.T, from, to string) {
						for _, k := range under(from) {
							source, dest := url.PathEscape(b+"/"+k), pre+to+strings.TrimPrefix(k, pre+from)
							_, err := server.Client().CopyObject(t.Context(), &awss3.CopyObjectInput{Bucket: &b, Key: &dest, CopySource: &source})
							must(t, err)
							remove(t, b, k)
						}
					},
					Away: func(t *testing.T) {
						for _, k := range keys(t, b, "") {
							remove(t, b, k)
						}
						_, err := server.Client().DeleteBucket(t.Context(), &awss3.DeleteBucketInput{Bucket: &b})
						must(t, err)
					},
				}
			})
		})
	}
}
