package schema

import (
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/gxbus/gxbus/pkg/bus"
)

// problem says what is wrong, without the value: that may be personal information.
func problem(k jsonschema.ErrorKind) bus.Text {
	switch k := k.(type) {
	case *kind.Type:
		return bus.Text{ZH: "类型不正确：" + k.Got, EN: "is of the wrong type: " + k.Got}
	case *kind.MaxLength:
		return bus.Text{ZH: fmt.Sprintf("过长，共 %d 个字符", k.Got), EN: fmt.Sprintf("is too long: %d characters", k.Got)}
	case *kind.MinLength:
		return bus.Text{ZH: fmt.Sprintf("过短，共 %d 个字符", k.Got), EN: fmt.Sprintf("is too short: %d characters", k.Got)}
	case *kind.Pattern, *kind.Format:
		return bus.Text{ZH: "格式不正确", EN: "is not of the form"}
	case *kind.Maximum, *kind.Minimum, *kind.ExclusiveMaximum, *kind.ExclusiveMinimum, *kind.MultipleOf:
		return bus.Text{ZH: "数值超出范围", EN: "is out of range"}
	case *kind.Enum, *kind.Const:
		return bus.Text{ZH: "取值不允许", EN: "has a value that is not allowed"}
	case *kind.Required:
		return bus.Text{ZH: "缺少 " + strings.Join(k.Missing, "、"), EN: "lacks " + strings.Join(k.Missing, ", ")}
	case *kind.AdditionalProperties:
		return bus.Text{ZH: "含有未定义的项：" + strings.Join(k.Properties, "、"), EN: "has what is not provided for: " + strings.Join(k.Properties, ", ")}
	}
	keyword := strings.Join(k.KeywordPath(), "/")
	return bus.Text{ZH: "不符合数据结构的 " + keyword, EN: "does not meet the schema's " + keyword}
}

// allowed says what would be right, where that is short.
func allowed(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return strings.Join(k.Want, ", ")
	case *kind.MaxLength:
		return fmt.Sprintf("at most %d characters", k.Want)
	case *kind.MinLength:
		return fmt.Sprintf("at least %d characters", k.Want)
	case *kind.Pattern:
		return k.Want
	case *kind.Format:
		return k.Want
	case *kind.Maximum:
		return "at most " + k.Want.RatString()
	case *kind.Minimum:
		return "at least " + k.Want.RatString()
	case *kind.Enum:
		if text := fmt.Sprint(k.Want...); len(text) < 200 {
			return strings.Trim(fmt.Sprint(k.Want), "[]")
		}
	}
	return ""
}
