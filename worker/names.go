package worker

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

const (
	maxApplicationID = 63
	maxArtifactID    = 256
	nameAttempts     = 100 // of 4,096 names per pair of words
)

// applicationID is the pattern that the web dashboard allows (contract 1.10);
// the id becomes a service id, a directory and a part of URLs.
var applicationID = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]*$`)

// reserved ids would shadow a service that Hypha or the worker itself offers.
var reserved = []string{serviceID, "built-in", "default", "probes"}

// checkApplicationID refuses ids that cannot be a service id, and those equal
// to a key of a status: a flat answer holds both side by side (contract 0.1 #1).
func checkApplicationID(id string) error {
	switch {
	case len(id) > maxApplicationID:
		return valueError("Invalid application ID: '%.80s...' has %d characters, at most %d are allowed.", id, len(id), maxApplicationID)
	case !applicationID.MatchString(id):
		return valueError("Invalid application ID: '%s'. Please use letters, numbers, hyphens and underscores only, starting with a letter or number.", id)
	case slices.Contains(reserved, id), slices.Contains(statusKeys, id):
		return valueError("Invalid application ID: '%s' is a reserved word. Please choose another one.", id)
	}
	return nil
}

// completeArtifactID puts the worker's workspace before a bare alias.
func completeArtifactID(id, workspace string) (string, error) {
	if !strings.Contains(id, "/") {
		id = workspace + "/" + id
	}
	space, name, _ := strings.Cut(id, "/")
	bad := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
	if space == "" || name == "" || strings.Contains(name, "/") || len(id) > maxArtifactID || strings.ContainsFunc(id, bad) {
		return "", valueError("Invalid artifact ID: '%.300s'. Expected '<workspace>/<alias>' or '<alias>'.", id)
	}
	return id, nil
}

// clientID is the Hypha client of an application: the same after each restart
// of the controller, so that service ids stay (contract 4).
func clientID(worker, application string) string {
	sum := sha1.Sum([]byte(application))
	return worker + "-" + hex.EncodeToString(sum[:4])
}

// generateID makes an id such as ambitious-whale-f3c1 that is not taken.
func generateID(taken func(string) bool) (string, error) {
	for range nameAttempts {
		id := fmt.Sprintf("%s-%s-%04x", adjectives[rand.IntN(len(adjectives))], nouns[rand.IntN(len(nouns))], rand.IntN(1<<16))
		if !taken(id) {
			return id, nil
		}
	}
	return "", runtimeError("No free application ID was found in %d attempts. Please pass application_id.", nameAttempts)
}

var adjectives = strings.Fields(`able amber ambitious ample azure bold brave bright brisk calm candid careful clever
	cosmic crimson curious dapper daring deft eager early easy elegant fair famous fancy fearless fleet fond frank fresh
	gentle glad golden graceful grand happy hardy honest humble jolly keen kind lively loyal lucid lucky mellow merry
	mighty modest neat nimble noble patient placid polite proud quick quiet rapid ready royal serene sharp silent
	simple sincere smart smooth snug solid spry stable steady sturdy sunny swift tender tidy tranquil trusty upbeat
	vivid warm wise witty zesty`)

var nouns = strings.Fields(`albatross ant badger bat bear beaver bee bison boar bobcat camel caribou cat cheetah cobra condor
	coyote crab crane cricket crow deer dingo dolphin dove dragonfly duck eagle eel egret elk falcon ferret finch
	firefly fox frog gazelle gecko gibbon goose hare hawk hedgehog heron hornet horse ibex iguana jackal jaguar jay
	kestrel koala lark lemur leopard lion lizard llama lobster lynx magpie marmot marten mole moose moth mouse
	narwhal newt octopus orca oriole osprey otter owl panda panther parrot penguin pigeon puffin puma quail rabbit
	raccoon raven robin salmon seal shark sparrow spider squid stork swan tapir tiger toad trout turtle viper
	walrus weasel whale wolf wombat wren yak zebra`)
