# Personal records are used for a piece of business (办件): at most three of a
# resource for one, by all of a department together, and none for none.
package gxbus.division.d440100

limits contains {"limit": 3, "per": "case", "key": "consumer"} if {
	personal_use
	input.action != "subscribe"
}

deny contains {
	"code": "case-missing",
	"zh": "含身份证号的资源须按办件使用；请填写办件号。",
	"en": "Resources with identity numbers are used case by case; state the case (办件号).",
} if {
	personal_use
	not input.case
}

personal_use if {
	input.action in {"subscribe", "forward", "deliver", "query"}
	"440100" in input.consumer.divisions
	input.consumer.department != input.provider.department
	some item in input.resource.items
	item.semantic == "id-number"
}
