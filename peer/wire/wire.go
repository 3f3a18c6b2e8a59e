// Package wire is what travels between the services of a fleet: messages and services in Protocol Buffers, spoken with
// the Connect protocol over HTTP/1.1. All of it is generated from tutti.proto; package peer gives it meaning.
package wire

//go:generate sh generate.sh
