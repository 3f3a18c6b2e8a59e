#!/bin/sh
# Makes the Go files of this folder, or of the folder given, from tutti.proto. protoc is Debian's protobuf-compiler; the
# two plugins are tools of go.mod, so that their versions are those of the libraries.
set -eu
cd "$(dirname "$0")"
out=${1:-.}
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go build -o "$bin/" google.golang.org/protobuf/cmd/protoc-gen-go connectrpc.com/connect/cmd/protoc-gen-connect-go
PATH="$bin:$PATH" protoc --proto_path=. \
	--go_out="$out" --go_opt=paths=source_relative \
	--connect-go_out="$out" --connect-go_opt=paths=source_relative,package_suffix,simple \
	tutti.proto
# Formatted as everything else is.
go tool gofumpt -w "$out/tutti.pb.go" "$out/tutti.connect.go"
