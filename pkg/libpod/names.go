package libpod

import (
	"crypto/rand"
	"encoding/hex"
	"math/big"
)

// newID returns 64 hexadecimal digits.
func newID() (string, error) {
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return hex.EncodeToString(b[:]), nil
}

// randomName makes a name that is easy to say: adjective_noun.
func randomName() (string, error) {
	adjective, err := pick(adjectives())
	if err != nil {
		return "", err
	}
	noun, err := pick(nouns())
	if err != nil {
		return "", err
	}
	return adjective + "_" + noun, nil
}

func pick(words []string) (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(len(words))))
	if err != nil {
		return "", err
	}
	return words[n.Int64()], nil
}

func adjectives() []string {
	return []string{
		"able", "amber", "ample", "apt", "blithe", "bold", "brave", "bright", "brisk", "calm", "candid", "clever",
		"cosy", "crisp", "daring", "deft", "eager", "early", "fair", "fleet", "fond", "frank", "fresh", "gentle",
		"glad", "golden", "grand", "green", "happy", "hardy", "honest", "humble", "jolly", "keen", "kind", "lively",
		"loyal", "lucid", "mellow", "merry", "mild", "modest", "nimble", "noble", "patient", "placid", "plain",
		"polite", "proud", "quick", "quiet", "rapid", "ready", "rustic", "sane", "serene", "sharp", "shy", "silver",
		"sleek", "smart", "snug", "sober", "solid", "spry", "stable", "stout", "sunny", "sure", "swift", "tame",
		"tidy", "true", "upbeat", "vivid", "warm", "wise", "witty", "young", "zesty",
	}
}

func nouns() []string {
	return []string{
		"acorn", "alder", "anchor", "apple", "arch", "ash", "aster", "badger", "barley", "basil", "beaver", "birch",
		"brook", "canyon", "cedar", "cherry", "cliff", "clover", "comet", "coral", "cove", "crane", "creek", "delta",
		"dune", "eagle", "elm", "ember", "falcon", "fern", "finch", "fjord", "forest", "fox", "garnet", "glacier",
		"grove", "gull", "harbor", "hawk", "hazel", "heron", "hill", "holly", "island", "ivy", "jade", "juniper",
		"lagoon", "lark", "laurel", "lilac", "linden", "lotus", "lynx", "maple", "marsh", "meadow", "mesa", "moss",
		"oak", "olive", "opal", "orchid", "otter", "owl", "pebble", "pine", "plum", "poplar", "prairie", "quartz",
		"raven", "reef", "ridge", "river", "robin", "rowan", "saffron", "sage", "spruce", "stone", "summit", "swan",
		"thistle", "tulip", "valley", "walnut", "willow", "wren",
	}
}
