package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"tutti/store/dynamo"
)

type storeCmd struct {
	Init storeInitCmd `cmd:"" help:"Make the table that --store names: on demand, with expiry of items, and tagged. One that is there is left as it is."`
}

type storeInitCmd struct {
	Tag map[string]string `help:"A tag for the table, as NAME=VALUE; repeat for several." placeholder:"NAME=VALUE"`
}

// Help says what the flags' list does not.
func (storeInitCmd) Help() string {
	return `For example:

  tutti store init --store 'dynamodb://tutti?region=eu-central-1' --tag service=music

Of all the other flags none matters here. Credentials come from where AWS's own tools take them: AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the role of the machine. They need dynamodb:CreateTable, DescribeTable,
UpdateTimeToLive, DescribeTimeToLive and TagResource for the table. deploy/dynamodb.yaml makes the same table by CloudFormation.`
}

// Run makes the table and waits until it can be used.
func (c storeInitCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) error {
	if s.Store.Table == "" {
		return errors.New("only a table of DynamoDB has to be made: name it with --store dynamodb://TABLE?region=…")
	}
	config := newNode(s, logger).dynamoConfig()
	config.Tags = c.Tag
	if err := dynamo.Init(ctx, config); err != nil {
		return err
	}
	_, err := fmt.Fprintf(std.out, "the table %s is ready\n", s.Store.Table)
	return err
}
