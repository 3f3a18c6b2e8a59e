package dynamo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tutti"
	"tutti/clock"
)

// schema is what a table of ours looks like.
func schema() (keys []types.KeySchemaElement, attrs []types.AttributeDefinition) {
	keys = []types.KeySchemaElement{
		{AttributeName: aws.String(pkAttr), KeyType: types.KeyTypeHash},
		{AttributeName: aws.String(skAttr), KeyType: types.KeyTypeRange},
	}
	attrs = []types.AttributeDefinition{
		{AttributeName: aws.String(pkAttr), AttributeType: types.ScalarAttributeTypeS},
		{AttributeName: aws.String(skAttr), AttributeType: types.ScalarAttributeTypeS},
	}
	return keys, attrs
}

// sameSchema reports whether a table's keys are those of ours.
func sameSchema(t *types.TableDescription) bool {
	keys, attrs := schema()
	if len(t.KeySchema) != len(keys) {
		return false
	}
	for i, k := range keys {
		got := t.KeySchema[i]
		if aws.ToString(got.AttributeName) != *k.AttributeName || got.KeyType != k.KeyType {
			return false
		}
	}
	for _, a := range attrs {
		if !slices.ContainsFunc(t.AttributeDefinitions, func(got types.AttributeDefinition) bool {
			return aws.ToString(got.AttributeName) == *a.AttributeName && got.AttributeType == a.AttributeType
		}) {
			return false
		}
	}
	return true
}

// describe returns the table, or nil where there is none.
func (s *Store) describe(ctx context.Context, op string) (t *types.TableDescription, err error) {
	_, err = s.call(ctx, op, func(ctx context.Context) error {
		out, err := s.db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &s.table})
		var missing *types.ResourceNotFoundException
		if errors.As(err, &missing) {
			return nil
		}
		if err == nil {
			t = out.Table
		}
		return err
	})
	return t, err
}

func (s *Store) checkTable(ctx context.Context, op string) error {
	t, err := s.describe(ctx, op)
	switch {
	case err != nil:
		return err
	case t == nil:
		return tutti.Errorf(tutti.KindNotFound, op, "there is no table %q in this DynamoDB; make it with tutti store init", s.table)
	case !sameSchema(t):
		return tutti.Errorf(tutti.KindInvalid, op, "the table %q is not one of tutti's: its keys are others than pk and sk; give tutti a table of its own", s.table)
	case t.TableStatus == types.TableStatusCreating || t.TableStatus == types.TableStatusDeleting:
		return tutti.Errorf(tutti.KindUnavailable, op, "the table %q is %s; try again in a minute", s.table, strings.ToLower(string(t.TableStatus)))
	}
	return nil
}

// pollTable is the time between two looks at a table that is being made: that takes some seconds.
const pollTable = 200 * time.Millisecond

// Init makes the table, on demand and with c.Tags, waits until it is there, and turns on its TTL. Where there is one
// already it does what is missing of that, but changes no tags. It returns KindInvalid for a table of another kind, and
// KindUnavailable where the database does not answer or ctx ends. An engine without TTL (dynalite) is used
// without: what has expired is not returned, but stays.
func Init(ctx context.Context, c Config) (err error) {
	const op = "dynamo.Init"
	s, err := connect(ctx, op, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	t, err := s.describe(ctx, op)
	if err != nil {
		return err
	}
	if t == nil {
		if err := s.create(ctx, op, c.Tags); err != nil {
			return err
		}
	}
	for {
		err := s.checkTable(ctx, op)
		if err == nil {
			return s.enableTTL(ctx, op)
		}
		// Right after it was made a table may be not found for a moment, and is unavailable for longer.
		if !tutti.IsKind(err, tutti.KindUnavailable) && !tutti.IsKind(err, tutti.KindNotFound) {
			return err
		}
		if sleepErr := clock.Sleep(ctx, s.clock, pollTable); sleepErr != nil {
			return &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Message: tutti.Message(err), Err: sleepErr}
		}
	}
}

func (s *Store) create(ctx context.Context, op string, tags map[string]string) error {
	in := &dynamodb.CreateTableInput{TableName: &s.table, BillingMode: types.BillingModePayPerRequest}
	in.KeySchema, in.AttributeDefinitions = schema()
	for k, v := range tags {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	slices.SortFunc(in.Tags, func(a, b types.Tag) int { return strings.Compare(*a.Key, *b.Key) })
	_, err := s.call(ctx, op, func(ctx context.Context) error {
		_, err := s.db.CreateTable(ctx, in)
		var exists *types.ResourceInUseException // somebody else's, or an earlier attempt
		if errors.As(err, &exists) {
			return nil
		}
		return err
	})
	return err
}

func (s *Store) enableTTL(ctx context.Context, op string) error {
	_, err := s.call(ctx, op, func(ctx context.Context) error {
		out, err := s.db.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &s.table})
		if err != nil {
			return err
		}
		if d := out.TimeToLiveDescription; d != nil && aws.ToString(d.AttributeName) == expiryAttr &&
			(d.TimeToLiveStatus == types.TimeToLiveStatusEnabled || d.TimeToLiveStatus == types.TimeToLiveStatusEnabling) {
			return nil
		}
		_, err = s.db.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
			TableName: &s.table,
			TimeToLiveSpecification: &types.TimeToLiveSpecification{
				AttributeName: aws.String(expiryAttr), Enabled: aws.Bool(true),
			},
		})
		return err
	})
	var api interface{ ErrorCode() string }
	if errors.As(err, &api) && api.ErrorCode() == "UnknownOperationException" {
		s.logger.Warn("this database has no TTL: what has expired is never returned, but is not removed either")
		return nil
	}
	return err
}
