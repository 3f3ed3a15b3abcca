# A sample layer of Guangdong province: personal information is not handed out
# as reference material (工作参考); a use of it has a matter to point to.
package gxbus.division.d440000

personal := {"id-number", "name", "phone", "address", "bank-card"}

deny contains {
	"code": "province-no-reference-on-personal",
	"zh": "含个人信息的资源不得以工作参考为用途共享；请改为所办事项的行政依据、数据校核或业务协同。",
	"en": "Resources with personal information are not shared as reference; state administrative-basis, verification or collaboration for the matter at hand.",
} if {
	input.purpose == "reference"
	input.action in {"subscribe", "forward", "deliver", "query"}
	input.consumer.department != input.provider.department
	some item in input.resource.items
	item.semantic in personal
}
