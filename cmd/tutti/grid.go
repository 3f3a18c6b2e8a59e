package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"tutti/carbon"
)

// makeGrid makes what tells the intensity of the grid. It asks nobody yet.
func (n *node) makeGrid(context.Context) error {
	g := n.settings.Grid
	secret, err := g.secret()
	if err != nil {
		return err
	}
	client := carbon.Client{Clock: n.clock, Agent: "tutti/" + version}
	var feed carbon.Feed
	switch g.Feed {
	case "csv":
		feed = carbon.CSV{Path: g.File}
	case "gb":
		feed = carbon.GB{Client: client, URL: g.URL, Region: g.Region}
	case "electricity-maps":
		feed = carbon.ElectricityMaps{Client: client, URL: g.URL, Zone: g.Region, Key: secret}
	case "watttime":
		feed = carbon.NewWattTime(client, g.URL, g.Region, g.User, secret)
	case "carbon-aware-sdk":
		feed = carbon.CarbonAware{Client: client, URL: g.URL, Location: g.Region, Key: secret}
	default:
		feed = carbon.Constant(g.Intensity)
	}
	n.grid = carbon.NewCached(feed, carbon.GramsPerKWh(g.Intensity), n.clock, n.logger)
	return nil
}

// maxSecret is longer than any key or password of a feed, in bytes.
const maxSecret = 4096

// secret returns the key or the password of the feed; "" where it needs none.
func (g gridSettings) secret() (string, error) {
	secret := os.Getenv(gridSecret)
	if g.SecretFile != "" {
		b, err := os.ReadFile(g.SecretFile)
		if err != nil {
			return "", fmt.Errorf("read the secret of the grid's feed: %w", err)
		}
		secret = string(b)
	}
	if secret = strings.TrimSpace(secret); len(secret) > maxSecret || strings.ContainsFunc(secret, func(r rune) bool { return r < ' ' }) {
		return "", errors.New("the secret of the grid's feed is more than a line, or longer than any")
	}
	if secret == "" && (g.Feed == "electricity-maps" || g.Feed == "watttime") {
		return "", fmt.Errorf("grid: the feed %s needs a secret: name a file under secret-file, or set %s", g.Feed, gridSecret)
	}
	return secret, nil
}
