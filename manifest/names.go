package manifest

import "strings"

// typeHandle is Param.Type of a handle to a sub-deployment.
const typeHandle = "DeploymentHandle"

// isDeploymentDecorator recognises ray.serve.deployment under any alias.
func isDeploymentDecorator(dotted string) bool {
	return dotted == "ray.serve.deployment" || dotted == "ray.serve.api.deployment"
}

// isSchemaDecorator recognises hypha_rpc's schema_method under any alias.
func isSchemaDecorator(dotted string) bool {
	return strings.HasPrefix(dotted, "hypha_rpc.") &&
		(strings.HasSuffix(dotted, ".schema_method") || strings.HasSuffix(dotted, ".schema_function"))
}

// hidesNoSchema lists decorators that never make a schema method by themselves.
func hidesNoSchema(dotted string) bool {
	switch dotted {
	case "builtins.staticmethod", "builtins.classmethod", "builtins.property", "abc.abstractmethod", "typing.override",
		"functools.wraps", "functools.lru_cache", "functools.cache", "functools.cached_property",
		"contextlib.contextmanager", "contextlib.asynccontextmanager", "ray.serve.batch", "ray.serve.multiplexed":
		return true
	}
	return strings.HasPrefix(dotted, "asyncio.") || strings.HasPrefix(dotted, "threading.") || strings.HasPrefix(dotted, "logging.")
}

// configClasses may be given in place of a dictionary.
var configClasses = []string{
	"ray.serve.config.AutoscalingConfig", "ray.serve._private.config.AutoscalingConfig", "ray.serve.schema.LoggingConfig",
}

// typeName shortens the dotted name of an annotation: "str" for builtins.str,
// "list" for typing.List.
func typeName(dotted, annotation string, quoted bool) string {
	if name, ok := strings.CutPrefix(dotted, "builtins."); ok {
		return name
	}
	switch dotted {
	case "typing.List", "typing.Dict", "typing.Tuple", "typing.Set":
		return strings.ToLower(strings.TrimPrefix(dotted, "typing."))
	}
	isRay := strings.HasPrefix(dotted, "ray.serve.") && strings.HasSuffix(dotted, "."+typeHandle)
	// The string alone is enough: its import may be hidden in TYPE_CHECKING.
	byText := quoted && dotted == "" && (annotation == typeHandle || strings.HasSuffix(annotation, "."+typeHandle))
	if isRay || byText {
		return typeHandle
	}
	return dotted
}
