using System.Collections.Frozen;

namespace Delora.Nn;

/// <summary>What <c>target_modules: null</c> means for a family of models, by its <c>model_type</c> in <c>config.json</c>.</summary>
/// <remarks>Source: PEFT 0.20.1.dev0, <c>TRANSFORMERS_MODELS_TO_DELORA_TARGET_MODULES_MAPPING</c>.</remarks>
public static class PeftDefaultTargets
{
    private static readonly ModuleSelector s_queryAndValue = ModuleSelector.Of("q_proj", "v_proj");

    /// <summary>The whole table. Names are compared exactly: <c>RefinedWeb</c> has capitals.</summary>
    public static IReadOnlyDictionary<string, ModuleSelector> ByModelType { get; } = new Dictionary<string, ModuleSelector>
    {
        ["RefinedWeb"] = ModuleSelector.Of("query_key_value"),
        ["RefinedWebModel"] = ModuleSelector.Of("query_key_value"),
        ["bart"] = s_queryAndValue,
        ["bert"] = ModuleSelector.Of("query", "value"),
        ["blip-2"] = ModuleSelector.Of("q", "v", "q_proj", "v_proj"),
        ["bloom"] = ModuleSelector.Of("query_key_value"),
        ["btlm"] = ModuleSelector.Of("c_proj", "c_attn"),
        ["chatglm"] = ModuleSelector.Of("query_key_value"),
        ["codegen"] = ModuleSelector.Of("qkv_proj"),
        ["deberta"] = ModuleSelector.Of("in_proj"),
        ["deberta-v2"] = ModuleSelector.Of("query_proj", "value_proj"),
        ["electra"] = ModuleSelector.Of("query", "value"),
        ["falcon"] = ModuleSelector.Of("query_key_value"),
        ["gemma"] = s_queryAndValue,
        ["gemma2"] = s_queryAndValue,
        ["gemma3_text"] = s_queryAndValue,
        // A regular expression: the towers for images and sound stay as they are.
        ["gemma4"] = @".*language_model\..*\.(q_proj|v_proj)",
        ["gpt2"] = ModuleSelector.Of("c_attn"),
        ["gpt_bigcode"] = ModuleSelector.Of("c_attn"),
        ["gpt_neo"] = s_queryAndValue,
        ["gpt_neox"] = ModuleSelector.Of("query_key_value"),
        ["gptj"] = s_queryAndValue,
        ["layoutlm"] = ModuleSelector.Of("query", "value"),
        ["llama"] = s_queryAndValue,
        ["llama4"] = s_queryAndValue,
        ["mistral"] = s_queryAndValue,
        ["mixtral"] = s_queryAndValue,
        ["mpt"] = ModuleSelector.Of("Wqkv"),
        ["mt5"] = ModuleSelector.Of("q", "v"),
        ["nemotron_h"] = ModuleSelector.Of("q_proj", "k_proj", "v_proj", "o_proj"),
        ["opt"] = s_queryAndValue,
        ["phi"] = ModuleSelector.Of("q_proj", "v_proj", "fc1", "fc2"),
        ["qwen2"] = s_queryAndValue,
        ["qwen3"] = s_queryAndValue,
        ["roberta"] = ModuleSelector.Of("query", "value"),
        ["rwkv"] = ModuleSelector.Of("key", "value", "receptance", "output"),
        ["rwkv7"] = ModuleSelector.Of("r_proj", "k_proj", "v_proj", "o_proj", "key", "value"),
        ["stablelm"] = s_queryAndValue,
        ["t5"] = ModuleSelector.Of("q", "v"),
        ["xlm-roberta"] = ModuleSelector.Of("query", "value"),
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>The default of a family; null where it has none.</summary>
    public static ModuleSelector? Of(string? modelType) => modelType is null ? null : ByModelType.GetValueOrDefault(modelType);
}
