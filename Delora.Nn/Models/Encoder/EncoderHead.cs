namespace Delora.Nn;

/// <summary>What an encoder computes from the features of its last layer.</summary>
public enum EncoderHead
{
    /// <summary>Nothing more: features, for embeddings. <c>BertModel</c>, <c>RobertaModel</c>.</summary>
    None,

    /// <summary>Scores of labels for each text. <c>BertForSequenceClassification</c>, <c>RobertaForSequenceClassification</c>.</summary>
    SequenceClassification,

    /// <summary>Scores of labels for each token. <c>BertForTokenClassification</c>, <c>RobertaForTokenClassification</c>.</summary>
    TokenClassification,
}

/// <summary>What the labels of a text are, and which loss follows: transformers' <c>problem_type</c>.</summary>
public enum ClassificationProblem
{
    /// <summary>One label of several: cross-entropy. <c>single_label_classification</c>.</summary>
    SingleLabel,

    /// <summary>Any number of labels, each there or not: binary cross-entropy of each. <c>multi_label_classification</c>.</summary>
    MultiLabel,

    /// <summary>Numbers: mean squared error. <c>regression</c>.</summary>
    Regression,
}
