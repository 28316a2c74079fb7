"""The rules of AWS's managed rule groups, by group.

WAF ignores a misspelt rule name in a web ACL (AWS WAF API Reference, "RuleActionOverride"), so that the rule keeps its
action without a message. The generator refuses a name that is not in this table. Source: AWS WAF Developer Guide, "AWS
Managed Rules rule groups list", as of 2026-11. To add a rule that AWS has added since, add its name here. The API
action DescribeManagedRuleGroup lists the rules of a group.
"""

from __future__ import annotations

_COMMON = (
    "NoUserAgent_HEADER",
    "UserAgent_BadBots_HEADER",
    "SizeRestrictions_QUERYSTRING",
    "SizeRestrictions_Cookie_HEADER",
    "SizeRestrictions_BODY",
    "SizeRestrictions_URIPATH",
    "EC2MetaDataSSRF_BODY",
    "EC2MetaDataSSRF_COOKIE",
    "EC2MetaDataSSRF_URIPATH",
    "EC2MetaDataSSRF_QUERYARGUMENTS",
    "GenericLFI_QUERYARGUMENTS",
    "GenericLFI_URIPATH",
    "GenericLFI_BODY",
    "RestrictedExtensions_URIPATH",
    "RestrictedExtensions_QUERYARGUMENTS",
    "GenericRFI_QUERYARGUMENTS",
    "GenericRFI_BODY",
    "GenericRFI_URIPATH",
    "CrossSiteScripting_COOKIE",
    "CrossSiteScripting_QUERYARGUMENTS",
    "CrossSiteScripting_BODY",
    "CrossSiteScripting_URIPATH",
)
_KNOWN_BAD_INPUTS = (
    "JavaDeserializationRCE_HEADER",
    "JavaDeserializationRCE_BODY",
    "JavaDeserializationRCE_URIPATH",
    "JavaDeserializationRCE_QUERYSTRING",
    "Host_localhost_HEADER",
    "PROPFIND_METHOD",
    "ExploitablePaths_URIPATH",
    "Log4JRCE_HEADER",
    "Log4JRCE_QUERYSTRING",
    "Log4JRCE_BODY",
    "Log4JRCE_URIPATH",
    "ReactJSRCE_BODY",
)
_SQLI = (
    "SQLi_QUERYARGUMENTS",
    "SQLiExtendedPatterns_QUERYARGUMENTS",
    "SQLi_BODY",
    "SQLiExtendedPatterns_BODY",
    "SQLiExtendedPatterns_HEADER",
    "SQLiExtendedPatterns_URIPATH",
    "SQLi_COOKIE",
    "SQLi_URIPATH",
)
_BOT_CONTROL = (
    "CategoryAdvertising",
    "CategoryAI",
    "CategoryArchiver",
    "CategoryContentFetcher",
    "CategoryEmailClient",
    "CategoryHttpLibrary",
    "CategoryLinkChecker",
    "CategoryMiscellaneous",
    "CategoryMonitoring",
    "CategoryPagePreview",
    "CategoryScrapingFramework",
    "CategorySearchEngine",
    "CategorySecurity",
    "CategorySeo",
    "CategorySocialMedia",
    "CategoryWebhooks",
    "SignalAutomatedBrowser",
    "SignalKnownBotDataCenter",
    "SignalNonBrowserUserAgent",
)
MANAGED_RULES: dict[str, tuple[str, ...]] = {
    "AWSManagedRulesCommonRuleSet": _COMMON,
    "AWSManagedRulesKnownBadInputsRuleSet": _KNOWN_BAD_INPUTS,
    "AWSManagedRulesSQLiRuleSet": _SQLI,
    "AWSManagedRulesAmazonIpReputationList": (
        "AWSManagedIPReputationList",
        "AWSManagedReconnaissanceList",
        "AWSManagedIPDDoSList",
    ),
    "AWSManagedRulesAnonymousIpList": ("AnonymousIPList", "HostingProviderIPList"),
    "AWSManagedRulesAdminProtectionRuleSet": ("AdminProtection_URIPATH",),
    "AWSManagedRulesLinuxRuleSet": ("LFI_URIPATH", "LFI_QUERYSTRING", "LFI_HEADER"),
    "AWSManagedRulesUnixRuleSet": (
        "UNIXShellCommandsVariables_QUERYSTRING",
        "UNIXShellCommandsVariables_BODY",
        "UNIXShellCommandsVariables_HEADER",
    ),
    "AWSManagedRulesPHPRuleSet": (
        "PHPHighRiskMethodsVariables_HEADER",
        "PHPHighRiskMethodsVariables_QUERYSTRING",
        "PHPHighRiskMethodsVariables_BODY",
        "PHPHighRiskMethodsVariables_URIPATH",
    ),
    "AWSManagedRulesWordPressRuleSet": (
        "WordPressExploitableCommands_QUERYSTRING",
        "WordPressExploitablePaths_URIPATH",
    ),
    "AWSManagedRulesBotControlRuleSet": _BOT_CONTROL,
}
