namespace Delora.Nn;

/// <summary>Which biases of the base model are trained beside an adapter (PEFT's <c>bias</c>).</summary>
public enum AdapterBias
{
    /// <summary>None of them: <c>"none"</c>.</summary>
    None,

    /// <summary>All biases of the model: <c>"all"</c>.</summary>
    All,

    /// <summary>Those of the adapted layers: <c>"delora_only"</c>, or <c>"lora_only"</c> for LoRA.</summary>
    AdapterOnly,
}
